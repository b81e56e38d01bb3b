"""What an observer may be, before TensorFlow is there."""

import subprocess
import sys

from ampsim.training.observer import Observer
from ampsim.training.state import Progress


def test_an_observer_that_overrides_nothing_does_nothing_and_never_stops():
    observer = Observer()
    observer.notice("text")
    observer.progress(Progress(done=0.5, epoch=1, loss=0.1, samples_per_s=1e6, remaining_s=3))
    observer.interval({"loss": 0.1})
    observer.validated(1, [])
    assert observer.stop() is False


def test_what_the_command_line_reads_of_training_loads_no_tensorflow():
    code = "import sys, ampsim.training.observer, ampsim.training.schedules; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=300, check=False).returncode == 0
