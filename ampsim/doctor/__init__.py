"""A recording diagnosed: every fault that would show up hours later as a net that does not learn."""

from ampsim import callable_folder
from ampsim.doctor.diagnosis import diagnosed, diagnosed_sheet
from ampsim.doctor.files import loaded
from ampsim.recordings.findings import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnosed", "diagnosed_sheet", "loaded"]

callable_folder(__name__)
