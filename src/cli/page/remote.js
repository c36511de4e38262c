// ---- The engine in the program that serves the page (src/cli/commands/serve)

const served = JSON.parse(element("served").textContent);

// A way to the program, which keeps the photographs that were used last.
class Engine {
  constructor() {
    this.photograph = null;   // { data, numbers, id, answer } of the last call that opened one
    this.requests = new Set();
    this.stopped = false;
  }

  async call(name, argument, numbers, refined) {
    if (name === "photograph") return this.open(argument, numbers);
    const { photograph } = this;
    const id = photograph?.id ?? 0;
    try {
      return await this.request(name, id, argument, numbers, refined);
    } catch (error) {
      if (!error.lost || photograph === null) throw error;
      await this.request("photograph", id, photograph.data, photograph.numbers);
      return this.request(name, id, argument, numbers, refined);
    }
  }

  // The engines share a photograph that one of them has opened.
  async open(data, numbers) {
    const { last } = Engine;
    const isSame = last?.data === data && last.numbers.join() === numbers.join();
    const photograph = isSame ? last : { data, numbers, id: ++Engine.photographs };
    photograph.answer ??= this.request("photograph", photograph.id, data, numbers);
    Engine.last = photograph;
    try {
      const answer = await photograph.answer;
      this.photograph = photograph;
      return answer;
    } catch (error) {
      if (Engine.last === photograph) Engine.last = null;
      throw error;
    }
  }

  async request(name, id, argument, numbers, refined = () => {}) {
    if (this.stopped) throw new Cancelled();
    const request = new AbortController();
    this.requests.add(request);
    try {
      const body = argument ?? new ArrayBuffer(0);
      const response = await fetch(`${name}?id=${id}&numbers=${numbers.join()}`, { method: "POST", body, signal: request.signal });
      if (!response.ok) throw Object.assign(new Error((await response.text()).trimEnd()), { lost: response.status === 410 });
      return await answered(response, refined);
    } catch (error) {
      throw this.stopped ? new Cancelled() : error instanceof TypeError ? new Error(GONE) : error;
    } finally {
      this.requests.delete(request);
    }
  }

  stop() {
    this.stopped = true;
    this.requests.forEach((request) => request.abort());
  }
}
// Pages number their photographs independently of each other.
Engine.photographs = crypto.getRandomValues(new Uint32Array(1))[0] * 2 ** 20;
Engine.last = null;

const GONE = "The program that serves this page does not answer. If it has ended, start it again and open the address that it prints.";

// Reads the parts of an answer, which commands/serve/body.rs describes.
async function answered(response, refined) {
  const reader = response.body.getReader();
  let [pieces, size] = [[], 0];
  const take = async (count) => {
    while (size < count) {
      const { done, value } = await reader.read();
      if (done) throw new TypeError("the answer ends too early");
      pieces.push(value);
      size += value.length;
    }
    const all = new Uint8Array(await new Blob(pieces).arrayBuffer());
    [pieces, size] = [[all.subarray(count)], size - count];
    return all.slice(0, count).buffer;
  };
  for (;;) {
    const [kind, done, total, numbersCount, bytesCount] = new Uint32Array(await take(20));
    const numbers = new Float32Array(await take(4 * numbersCount));
    const bytes = await take(bytesCount);
    if (kind === 0) return { numbers, bytes };
    if (kind === 2) throw new Error(new TextDecoder().decode(bytes));
    refined({ refined: numbers, done, total });
  }
}

async function file(name) {
  const response = await fetch(name).catch(() => { throw new Error(GONE); });
  return response.arrayBuffer();
}

const newEngine = async () =>
  ({ engine: new Engine(), name: served.network, isa: served.isa, labels: served.labels, sha256: served.weights_sha256 });

// The program gives a map all of its threads.
const backs = () => 1;

const workers = () => `${served.threads} ${served.threads === 1 ? "thread" : "threads"}`;

const sample = () => file("sample");

function showEngine() {
  element("isa").textContent = `occlude ${served.version}, instruction set ${served.isa}, ${workers()}: the same bits as the command's.`;
}

async function start() {
  element("resize").value = served.resize;
  state.weights = { name: served.weights, more: served.more };
  await restart();
  if (served.photograph === null) await open("chelsea.png", await sample());
  else await open(served.photograph, await file("first"));
}

listen();
queued(start);
