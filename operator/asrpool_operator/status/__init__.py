"""What is said of a pool: status, conditions, Events. Pure functions of what was seen and decided."""

from asrpool_operator.status.events import Event
from asrpool_operator.status.report import Report, report, report_invalid

__all__ = ["Event", "Report", "report", "report_invalid"]
