// ---- Engines in workers of the page: the library, compiled to WebAssembly

const wasm = {
  module: null,
  exact: 0,           // 1 to emulate exact multiply-adds
  builtin: null,      // the file of the built-in network, { name, data }
  sample: null,       // the file of the sample
};

async function unpacked(id) {
  const text = element(id).textContent.trim();
  element(id).remove();
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  if (id === "photograph") return bytes.buffer;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// An engine in a worker of its own. It answers one request after the other.
class Engine {
  constructor(module) {
    this.worker = new Worker(Engine.address);
    this.waiting = new Map();
    this.stopped = false;
    this.worker.onmessage = ({ data }) => {
      const request = this.waiting.get(data.id);
      if (data.refined) return request.refined?.(data);
      this.waiting.delete(data.id);
      if (data.error === undefined) request.resolve(data);
      else request.reject(Object.assign(new Error(data.error), { fatal: data.fatal ?? false }));
    };
    this.worker.onerror = (event) => this.stop(new Error(event.message));
    this.worker.postMessage({ module });
  }

  call(name, argument, numbers, refined) {
    const id = ++Engine.requests;
    return new Promise((resolve, reject) => {
      if (this.stopped) return reject(new Cancelled());
      this.waiting.set(id, { resolve, reject, refined });
      this.worker.postMessage({ id, name, argument, numbers });
    });
  }

  stop(error = new Cancelled()) {
    this.stopped = true;
    this.worker.terminate();
    this.waiting.forEach(({ reject }) => reject(error));
    this.waiting.clear();
  }
}
Engine.requests = 0;

async function newEngine() {
  const engine = new Engine(wasm.module);
  const loaded = await engine.call("network", state.weights.data, [wasm.exact]).catch((error) => {
    engine.stop();
    throw error;
  });
  const lines = new TextDecoder().decode(loaded.bytes).trimEnd().split("\n");
  const [name, isa, sha256, ...labels] = lines;
  return { engine, name: `${name} of ${labels.length} classes`, isa, sha256, labels };
}

// The engines beside the one in front: one for each processor, and not more than three, because each
// has a network of its own.
const backs = () => Math.min(Math.max(navigator.hardwareConcurrency ?? 1, 1), 3);

const workers = (engines) => `${engines} ${engines === 1 ? "engine" : "engines"}`;

const sample = async () => wasm.sample;

const ARITHMETIC = {
  "wasm-fma": "fused multiply-adds of this processor (wasm-fma): the same bits as the command's",
  "wasm-unfused": "multiply-adds that round twice (wasm-unfused), because this browser has no others: probabilities differ from the command's by less than 0.00001",
  "wasm": "emulated fused multiply-adds (wasm): the same bits as the command's, slowly",
};

function showEngine() {
  element("builtin-network").hidden = state.weights === wasm.builtin;
  const place = element("isa");
  place.replaceChildren((ARITHMETIC[state.isa] ?? state.isa) + ".");
  if (state.isa === "wasm-fma") return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small";
  button.textContent = wasm.exact ? "Compute faster" : "Compute the command's bits, slowly";
  button.addEventListener("click", () => {
    wasm.exact = 1 - wasm.exact;
    queued(restart);
  });
  place.append(" ", button);
}

// Takes another network. If it cannot be used, the one before stays.
async function load(weights) {
  const before = state.weights;
  state.weights = weights;
  try {
    await restart();
  } catch (error) {
    state.weights = before;
    error.message = error.message.replace(/^the network/, weights.name);
    throw error;
  }
}

async function start() {
  element("weights").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = "";
    if (file !== undefined) queued(async () => load({ name: file.name, data: await file.arrayBuffer() }));
  });
  element("builtin-network").addEventListener("click", () => queued(() => load(wasm.builtin)));
  element("page-size").textContent = `${(document.documentElement.outerHTML.length / 1e6).toFixed(1)} MB, of which the network has most`;
  const source = element("worker").textContent;
  Engine.address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const [relaxed, simd, builtin, sample] = await Promise.all(["engine-relaxed", "engine-simd", "builtin", "photograph"].map(unpacked));
  const code = WebAssembly.validate(relaxed) ? relaxed : simd;
  if (!WebAssembly.validate(code)) throw new Error("This browser is too old: it lacks WebAssembly's SIMD. Browsers since 2023 have it.");
  wasm.builtin = { name: "builtin", data: builtin };
  Object.assign(wasm, { module: await WebAssembly.compile(code), sample });
  state.weights = wasm.builtin;
  await restart();
  await open("chelsea.png", sample);
}

listen();
queued(start);
