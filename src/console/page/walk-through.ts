import { element } from "./dom.ts";
import type { SocketPanel } from "./socket-panel.ts";

const STEP_MS = 5000;
const LOOK_MS = 20;
const ANSWER = "hello, world!";

/** Waits until `happened`, calling it again and again. */
async function until(happened: () => boolean, otherwise: string): Promise<void> {
  const deadline = performance.now() + STEP_MS;
  while (!happened()) {
    if (performance.now() > deadline) throw new Error(`not within ${STEP_MS / 1000} seconds${otherwise}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Whose message a frame hands to a consumer in the long dialect; undefined for other frames. */
function senderOf(frame: string): string | undefined {
  try {
    const { event, result } = JSON.parse(frame);
    return event === "queue.consume" ? result.client_id : undefined;
  } catch {
    return undefined;
  }
}

function step(text: string): HTMLElement {
  const item = document.createElement("li");
  item.textContent = text;
  element("steps").append(item);
  return item;
}

async function run(text: string, work: () => unknown): Promise<void> {
  const item = step(text);
  try {
    await work();
    item.className = "done";
  } catch (error) {
    item.className = "failed";
    item.append(` — ${error instanceof Error ? error.message : error}`);
    throw error;
  }
}

/** The first steps of every new user, played by the page: client → Lua → queue → backend → the same client. */
export async function walkThrough(client: SocketPanel, backend: SocketPanel): Promise<void> {
  const button = element<HTMLButtonElement>("walk");
  button.disabled = true;
  element("steps").replaceChildren();
  element("steps").hidden = false;
  const senders: string[] = [];
  let answered = false;
  const silence = [
    backend.listen((frame) => {
      const sender = senderOf(frame);
      if (sender !== undefined) senders.push(sender);
    }),
    client.listen((frame) => {
      answered ||= frame === ANSWER;
    }),
  ];
  try {
    await run("A client connects to the server", () => client.connected || client.connect());
    await run('It sends "test"; the script pushes it to the topic foo', () => client.send("test"));
    await run("A backend connects to the API", () => backend.connected || backend.connect());
    await run("It consumes foo and gets the message with its client_id", async () => {
      backend.send('{"method":"queue.consume","params":["foo"],"id":12345}');
      await until(() => senders.length > 0, ": does another backend consume foo?");
    });
    await run(`It answers that client by its client_id: "${ANSWER}" arrives`, async () => {
      // Messages of earlier clients may have waited in the topic: whoever asked is answered.
      await until(() => {
        for (const client_id of senders.splice(0)) {
          backend.send(JSON.stringify({ method: "mesh.send", params: [{ client_id, data: ANSWER }], id: 12346 }));
        }
        return answered;
      }, ": does another backend consume foo?");
    });
  } catch {
    step("Stopped: the frames below say more").className = "failed";
  } finally {
    for (const stop of silence) stop();
    button.disabled = false;
  }
}
