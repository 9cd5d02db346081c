import { element } from "./dom.ts";
import type { SocketPanel } from "./socket-panel.ts";

const STEP_MS = 5000;

/** Resolves with the next message that `matches`. */
function message(panel: SocketPanel, matches: (text: string) => boolean): Promise<string> {
  const before = panel.onMessage;
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      panel.onMessage = before;
    };
    const timer = setTimeout(() => {
      end();
      reject(new Error("no answer within 5 seconds"));
    }, STEP_MS);
    panel.onMessage = (text) => {
      before(text);
      if (!matches(text)) return;
      end();
      resolve(text);
    };
  });
}

function step(text: string): HTMLElement {
  const item = document.createElement("li");
  item.textContent = text;
  element("steps").append(item);
  return item;
}

async function run<T>(text: string, work: () => Promise<T>): Promise<T> {
  const item = step(text);
  try {
    const result = await work();
    item.className = "done";
    return result;
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
  try {
    await run("A client connects to the server", async () => {
      if (!client.connected) await client.connect();
    });
    await run('It sends "test"; the script pushes it to the topic foo', async () => client.send("test"));
    await run("A backend connects to the API", async () => {
      if (!backend.connected) await backend.connect();
    });
    const event = await run("It consumes foo and gets the message with its client_id", async () => {
      const arrived = message(backend, (text) => text.includes('"event":"queue.consume"'));
      backend.send('{"method":"queue.consume","params":["foo"],"id":12345}');
      return JSON.parse(await arrived);
    });
    await run("It answers that client by its client_id", async () => {
      const arrived = message(client, (text) => text === "hello, world!");
      const params = [{ client_id: event.result.client_id, data: "hello, world!" }];
      backend.send(JSON.stringify({ method: "mesh.send", params, id: 12345 }));
      await arrived;
    });
    step('The client has received "hello, world!"').className = "done";
  } catch {
    step("Stopped: the frames below say why").className = "failed";
  } finally {
    button.disabled = false;
  }
}
