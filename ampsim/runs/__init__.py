"""One run: trained, scored, tracked and found again."""

from ampsim import callable_folder

callable_folder(__name__)
