"""Where the farm's sample is: a real mining farm's statistics; `smartpool.md` says whose, and what they add up to."""

from pathlib import Path

FARM = Path(__file__).with_name("smartpool.json.gz")
