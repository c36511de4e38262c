"use strict";

// Runs the engine (web/src/lib.rs) in a worker. A request is { id, name, argument, numbers }: the name of a
// function, its bytes or null, and its numbers. The answer is { id, error } or { id, numbers, bytes }. The
// first message has the compiled engine.

let engine = null;
// The request that is being answered.
let current = null;

// A copy, because the memory of the engine changes with the next call.
const numbersAt = (start, count) => new Float32Array(engine.memory.buffer.slice(start, start + 4 * count));

function refined(start, count, done, total) {
  postMessage({ id: current, refined: numbersAt(start, count), done, total });
}

function run({ name, argument, numbers }) {
  const parts = [new TextEncoder().encode(name), new Float64Array(numbers).buffer, argument ?? 0];
  parts.map((part) => new Uint8Array(part)).forEach((bytes, place) => {
    const start = engine.argument(place, bytes.length);
    new Uint8Array(engine.memory.buffer, start, bytes.length).set(bytes);
  });
  const status = engine.call();
  const length = engine.bytes_count();
  const result = engine.memory.buffer.slice(engine.bytes(), engine.bytes() + length);
  if (status !== 0) return { error: new TextDecoder().decode(result) };
  return { numbers: numbersAt(engine.numbers(), engine.numbers_count()), bytes: result };
}

onmessage = ({ data }) => {
  if (engine === null) {
    engine = new WebAssembly.Instance(data.module, { env: { refined } }).exports;
    return;
  }
  current = data.id;
  let answer;
  try {
    answer = run(data);
  } catch (error) {
    // The engine stops where it has no memory left. Its worker is of no use after that.
    answer = { error: `The engine stopped: ${error.message}. Is the photograph too large for the memory of this browser?`, fatal: true };
  }
  postMessage({ id: data.id, ...answer }, [answer.bytes, answer.numbers?.buffer].filter((buffer) => buffer));
};
