// The last seven days of all workers.

import { showPeriods } from "./throughput.js";
import { day, lastDays, shortDay } from "./times.js";

showPeriods("/api/v1/daily", "day", [day, shortDay], () => lastDays(7));
