"""How many times faster than real time a page plays nets, in headless Chromium on one core.

    python experiments/play/browser.py                               # the default, and A2 Full
    python experiments/play/browser.py model=wavenet_standard model=lstm

Each net has the weights that it begins with, which cost what trained ones do. The page plays ten seconds of noise at a time; the
best of five counts, as other processes only ever add to it.

On one core of an AMD EPYC (Chromium 150), in WebAssembly with SIMD, and in plain JavaScript where a browser lacks that:

    wavenet_cab, the default    32 times real time    2.3
    a2_full                     21                    0.9
    wavenet_standard            18                    0.9
    wavenet_nano               119                    8.0
    lstm                        31                    7.9
    gru                         33                    8.5
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from ampsim.config.settings import composed
from ampsim.config.targets import build
from ampsim.models.packing import playable
from ampsim.report.page import amp_page

RATE = 44100
MEASURE = """
  const [index, plain, seconds, repeats] = arguments;
  const { Amp, BLOCK } = engine();
  const model = amp.models[index];
  const made = new Amp(model, plain ? null : amp.code);
  const blocks = Math.ceil((seconds * model.sampleRate) / BLOCK);
  const noise = Float32Array.from({ length: BLOCK }, () => Math.random() - 0.5);
  const block = new Float32Array(BLOCK);
  let best = Infinity;
  for (let k = 0; k < repeats; k++) {
    const began = performance.now();
    for (let n = 0; n < blocks; n++) {
      block.set(noise);
      made.play(block);
    }
    best = Math.min(best, performance.now() - began);
  }
  return seconds / (best / 1000);
"""

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # and so the browser's
names = sys.argv[1:] or ["model=wavenet_cab", "model=a2_full"]
models = {name: build(composed([name])["model"], "model", sample_rate=RATE) for name in names}
for model in models.values():
    model.build()
options = webdriver.ChromeOptions()
options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
for flag in ("--headless", "--no-sandbox", "--disable-gpu"):
    options.add_argument(flag)
with tempfile.TemporaryDirectory() as folder:
    page = Path(folder) / "amp.html"
    page.write_text(amp_page("speed", playable(models), about=""), encoding="utf-8")
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.set_script_timeout(600)
        driver.get(page.as_uri())
        for index, name in enumerate(names):
            fast = driver.execute_script(MEASURE, index, False, 10, 5)
            plain = driver.execute_script(MEASURE, index, True, 1, 3)
            print(f"{name:24} {fast:6.1f} times real time, {plain:5.2f} without WebAssembly")
    finally:
        driver.quit()
