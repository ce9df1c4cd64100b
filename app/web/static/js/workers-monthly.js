// The last twelve months of all workers.

import { showPeriods } from "./throughput.js";
import { lastMonths, month } from "./times.js";

showPeriods("/api/v1/monthly", "month", [month, month], () => lastMonths(12));
