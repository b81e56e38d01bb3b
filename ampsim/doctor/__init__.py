"""A recording diagnosed: every fault that would show up hours later as a net that does not learn."""

from ampsim.doctor.diagnosis import checked, diagnosed, quick
from ampsim.doctor.files import loaded
from ampsim.doctor.findings import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "checked", "diagnosed", "loaded", "quick"]
