"""Pictures of MLflow's page, the listening page and the study page, of the embedded amp, at 1400 and 800 px.

    python docs/screenshots.py runs docs/images

takes them of the store `runs`; a folder that is none yet is filled first, with a sweep and a run (a quarter of an hour). What
`docs/` shows is 1400 px wide; those of 800 px are there to be looked at.
"""

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from listening import browser, until  # noqa: E402 - it lies in the tests

from ampsim.runs.tracking import Store  # noqa: E402

AMPSIM = [sys.executable, "-m", "ampsim"]
SWEEP = "model=wavenet_cab,tcn optimizer.learning_rate=0.003,0.01 seed=0,1 training.seconds=8"
PORT = 5099
SHOTS = {  # by name: the page, the words of its address, what is there once it is drawn, and what is scrolled to
    "mlflow-runs": ("mlflow", "", ".ag-center-cols-container .ag-row", ""),
    "mlflow-charts": ("mlflow", "&compareRunsMode=CHART", ".js-plotly-plot .main-svg .trace", ""),
    "listen": ("listen", "", "body.ready", ""),
    "study": ("study", "", "body[data-charts]", ""),
    "study-charts": ("study", "", "body[data-charts]", "effects-section"),
}
SETTLED_S = 3  # for fonts, and for MLflow's charts to take their places


def fill(folder: Path) -> None:
    """Train what the pictures show, where there is nothing yet."""
    if not (folder / "mlflow.db").exists():
        subprocess.run([*AMPSIM, "train", "-m", f"folder={folder}", *SWEEP.split()], check=True)
        subprocess.run([*AMPSIM, "train", f"folder={folder}"], check=True)


@contextmanager
def mlflow(folder: Path) -> Iterator[str]:
    """The address that `ampsim ui` prints."""
    command = [*AMPSIM, "ui", f"folder={folder}", f"port={PORT}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield next(word for line in server.stdout for word in line.split() if "viewStateShareKey" in word)
        finally:
            server.terminate()


def shoot(driver: Chrome, address: str, drawn: str, scrolled: str, width: int) -> Image.Image:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    # As for a mouse, so that what appears below it stays away.
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "hover", "value": "hover"}]})
    driver.get("about:blank")
    driver.get(address)
    until(lambda: driver.execute_script("return document.querySelector(arguments[0])", drawn), seconds=120)
    driver.execute_script("document.querySelector('[data-component-id$=\"assistant.chat_panel.close\"]')?.click()")
    driver.execute_script("document.getElementById(arguments[0])?.scrollIntoView()", scrolled)
    driver.execute_async_script("setTimeout(arguments[1], arguments[0])", 1000 * SETTLED_S)
    return Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")


def main(folder: Path, output: Path) -> None:
    fill(folder)
    store = Store(folder)
    study = store.find_sweep("last").file("study.html").as_uri()
    best = min(store.runs(), key=lambda run: run.data.metrics.get("test_esr", 9.0))
    listen = store.tracked(best).file("listen.html").as_uri()
    with mlflow(folder) as page, browser() as driver:
        for name, (of, words, drawn, scrolled) in SHOTS.items():
            address = {"mlflow": page, "listen": listen, "study": study}[of] + words
            for width in (1400, 800):
                path = output / (f"{name}.webp" if width == 1400 else f"{name}-{width}.webp")
                shoot(driver, address, drawn, scrolled, width).save(path, quality=75, method=6)
                print(f"{path}: {path.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
