/**
 * The end of a turn of the event loop, in three steps: what came in during the turn is carried out, what there is to write is
 * written, and what was written is accounted for. So everything a turn has for one socket goes out in one system call, which is
 * most of what a small message costs. And nothing is written from inside a handler of another WebSocket, which Bun keeps
 * corked meanwhile: a write to any other socket takes a slow path then.
 *
 * What a step adds to itself or to one before it is done at the end of the next turn, so that sockets are read in between. Whoever
 * adds a task sees to it that it is added once.
 */
type Task = () => void;

class Step {
  #tasks: Task[] = [];

  get empty(): boolean {
    return this.#tasks.length === 0;
  }

  add(task: Task): void {
    this.#tasks.push(task);
    if (!scheduled) schedule();
  }

  run(): void {
    const tasks = this.#tasks;
    if (tasks.length === 0) return;
    this.#tasks = [];
    for (const task of tasks) {
      try {
        task();
      } catch (error) {
        // The others' turn must not end with it; the process's own handler reports it.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

const requests = new Step();
const writes = new Step();
const accounts = new Step();
let scheduled = false;

function schedule(): void {
  scheduled = true;
  setImmediate(endTurn);
}

function endTurn(): void {
  requests.run();
  writes.run();
  accounts.run();
  scheduled = false;
  if (!requests.empty || !writes.empty || !accounts.empty) schedule();
}

/** First step: requests that came in. */
export function carryOutLater(task: Task): void {
  requests.add(task);
}

/** Second step: bytes gathered for a socket. */
export function writeLater(task: Task): void {
  writes.add(task);
}

/** Last step: when the writes are done. */
export function accountLater(task: Task): void {
  accounts.add(task);
}
