"use strict";
// Reading the time lines with a pointer, and the play head of the sounds. The page is complete without it.
(function () {
  const clock = (seconds) => {
    const tenths = Math.round(Math.abs(seconds) * 10);
    const whole = Math.floor(tenths / 10);
    const pad = (n) => String(n).padStart(2, "0");
    const hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    const head = hours ? hours + ":" + pad(minutes) : String(minutes);
    return (seconds < 0 ? "−" : "") + head + ":" + pad(whole % 60) + "." + (tenths % 10);
  };
  const at = (points, time) => {
    let low = 0;
    let high = points.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (time < points[middle][0]) high = middle - 1;
      else if (time >= points[middle][1]) low = middle + 1;
      else return points[middle];
    }
    return null;
  };
  const told = (point) =>
    point === null ? "no moment" : point[2] === null ? "not judged" : point[2].toFixed(2);

  const data = document.getElementById("scene-data");
  const scene = document.querySelector(".scene");
  if (data && scene) {
    const { start, end, cameras } = JSON.parse(data.textContent);
    const rows = [...scene.querySelectorAll(".cam:not(.axis)")].map((row, i) => ({
      cursor: row.querySelector(".cursor"),
      readout: row.querySelector(".readout"),
      track: row.querySelector(".track"),
      points: cameras[i],
    }));
    const show = (share) => {
      const time = start + share * (end - start);
      for (const row of rows) {
        row.cursor.setAttribute("x1", share * 100 + "%");
        row.cursor.setAttribute("x2", share * 100 + "%");
        row.readout.textContent = clock(time) + " · " + told(at(row.points, time));
      }
      scene.classList.add("reading");
    };
    for (const row of rows) {
      row.track.addEventListener("pointermove", (event) => {
        const box = row.track.getBoundingClientRect();
        show(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
      });
    }
    scene.addEventListener("pointerleave", () => scene.classList.remove("reading"));
  }

  for (const figure of document.querySelectorAll(".sound")) {
    const audio = figure.querySelector("audio");
    const line = figure.querySelector(".playhead line");
    const screen = figure.querySelector(".screen");
    const draw = () => {
      const share = audio.duration ? (100 * audio.currentTime) / audio.duration : 0;
      line.setAttribute("x1", share + "%");
      line.setAttribute("x2", share + "%");
      figure.classList.add("playing");
      if (!audio.paused) requestAnimationFrame(draw);
    };
    audio.addEventListener("play", draw);
    audio.addEventListener("seeked", draw);
    screen.addEventListener("click", (event) => {
      const box = screen.getBoundingClientRect();
      if (audio.duration) audio.currentTime = (audio.duration * (event.clientX - box.left)) / box.width;
      audio.play().catch(() => {}); // a browser may want a press of its own button first
    });
  }
})();
