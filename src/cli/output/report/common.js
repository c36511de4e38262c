"use strict";

// The beginning of the scripts of the report and of the page in web/.

const element = (id) => document.getElementById(id);

// A number with three digits that count.
function short(number) {
  const size = Math.abs(number);
  if (number === 0) return "0";
  if (size < 1e-3 || size >= 1e4) return number.toExponential(1).replaceAll("-", "−").replace("e+", "e");
  return number.toFixed(Math.min(Math.max(2 - Math.floor(Math.log10(size)), 0), 5)).replaceAll("-", "−");
}

// Draws a mask in its colour. One without a colour (blur, noise) is hatched.
function drawMask(context, [x, y, width, height], colour) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  if (colour !== null) {
    context.fillStyle = `rgb(${colour.join(" ")})`;
    context.fillRect(x, y, width, height);
  } else {
    for (const [style, shift] of [["#000", 0], ["#fff", 2]]) {
      context.strokeStyle = style;
      context.lineWidth = 2;
      context.beginPath();
      for (let at = shift - height; at < width; at += 12) {
        context.moveTo(x + at, y + height);
        context.lineTo(x + at + height, y);
      }
      context.stroke();
    }
  }
  context.restore();
  // Outside the covered pixels, so that these keep the colour of the mask.
  for (const [style, line] of [["#000", 6], ["#fff", 3]]) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.strokeRect(x - 3, y - 3, width + 6, height + 6);
  }
}
