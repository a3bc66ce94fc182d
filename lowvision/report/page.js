"use strict";
for (const figure of document.querySelectorAll(".compare")) {
  const stage = figure.querySelector(".stage"), slider = figure.querySelector("input");
  const move = () => figure.style.setProperty("--split", `${slider.value}%`);
  const follow = (event) => {
    const box = stage.getBoundingClientRect();
    slider.value = 100 * (event.clientX - box.left) / box.width;
    move();
  };
  slider.addEventListener("input", move);
  stage.addEventListener("dragstart", (event) => event.preventDefault());
  stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); follow(event); });
  stage.addEventListener("pointermove", (event) => { if (event.buttons === 1) follow(event); });
}
