"""Watch what is served: drift, quality before and after labels, live risk, budgets, alarms."""

from lingqu.monitor.alarms import Alarm
from lingqu.monitor.audit import asked
from lingqu.monitor.quality import Cohort, Share
from lingqu.monitor.risk import Risk, labels_wanted
from lingqu.monitor.status import Status, status, statuses
from lingqu.monitor.windows import Window

__all__ = ["Alarm", "Cohort", "Risk", "Share", "Status", "Window", "asked", "labels_wanted", "status", "statuses"]
