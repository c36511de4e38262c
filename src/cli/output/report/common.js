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

// Opacity of what covers everything except a window, so that a map below it stays visible.
const REST_OPACITY = 0.5;

// Draws a mask in its colour; one without a colour (blur, noise) is hatched. `area` are its pixels and
// `border` their border. With `alone`, everything except them is covered.
function drawMask(context, area, border, colour, alone = false) {
  const { width, height } = context.canvas;
  const outside = new Path2D(area);
  outside.rect(0, 0, width, height);
  context.save();
  context.clip(alone ? outside : area, "evenodd");
  if (alone) context.globalAlpha = REST_OPACITY;
  if (colour !== null) {
    context.fillStyle = `rgb(${colour.join(" ")})`;
    context.fillRect(0, 0, width, height);
  } else {
    for (const [style, shift] of [["#000", 0], ["#fff", 3]]) {
      context.strokeStyle = style;
      context.lineWidth = 2;
      context.beginPath();
      for (let at = shift - height; at < width; at += 12) {
        context.moveTo(at, height);
        context.lineTo(at + height, 0);
      }
      context.stroke();
    }
  }
  context.restore();
  // Outside the pixels, so that they keep their colour.
  context.save();
  context.clip(outside, "evenodd");
  context.lineCap = "square";
  for (const [style, line] of [["#000", 12], ["#fff", 9], ["#000", 3]]) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.stroke(border);
  }
  context.restore();
}
