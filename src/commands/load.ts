import type { Sample } from "./prometheus-text.ts";

/** One look at an engine, or at the workers that share its API port. */
export interface Look {
  /** Milliseconds of any steady clock. */
  at: number;
  samples: Sample[];
}

/** What an engine did between two looks; rates are per second. */
export interface Load {
  clients: number;
  received: number;
  sent: number;
  /** Messages not sent, callbacks that failed, and messages refused by a full topic. */
  errors: number;
  queued: number;
  topics: TopicLoad[];
}

export interface TopicLoad {
  topic: string;
  depth: number;
  consumers: number;
  pushed: number;
  popped: number;
}

export function loadBetween(before: Look, now: Look): Load {
  const seconds = (now.at - before.at) / 1000;
  const sum = ({ samples }: Look, name: string, topic?: string) => {
    let total = 0;
    for (const sample of samples) {
      if (sample.name === name && (topic === undefined || sample.labels.topic === topic)) total += sample.value;
    }
    return total;
  };
  const value = (name: string, topic?: string) => sum(now, `connmix_engine_${name}`, topic);
  // A counter that went back was counted from zero again by a process that has restarted.
  const rate = (name: string, topic?: string) => {
    const total = value(`${name}_total`, topic);
    const earlier = sum(before, `connmix_engine_${name}_total`, topic);
    return (total < earlier ? total : total - earlier) / seconds;
  };
  const topics = now.samples.flatMap(({ name, labels }) =>
    name === "connmix_engine_queue_depth" && labels.topic !== undefined ? [labels.topic] : [],
  );
  return {
    clients: value("servers_clients"),
    received: rate("servers_read_messages"),
    sent: rate("servers_send_messages"),
    errors: rate("servers_send_errors") + rate("lua_errors") + rate("queue_rejected"),
    queued: value("queue_depth"),
    topics: [...new Set(topics)].map((topic) => ({
      topic,
      depth: value("queue_depth", topic),
      consumers: value("queue_consumers", topic),
      pushed: rate("queue_pushed", topic),
      popped: rate("queue_popped", topic),
    })),
  };
}

/** The topics of all engines together, those with most messages waiting first, then the busiest. */
export function topicsOf(loads: Load[]): TopicLoad[] {
  const topics = new Map<string, TopicLoad>();
  for (const { topic, ...load } of loads.flatMap((each) => each.topics)) {
    const sum = topics.get(topic) ?? { topic, depth: 0, consumers: 0, pushed: 0, popped: 0 };
    topics.set(topic, {
      topic,
      depth: sum.depth + load.depth,
      consumers: sum.consumers + load.consumers,
      pushed: sum.pushed + load.pushed,
      popped: sum.popped + load.popped,
    });
  }
  return [...topics.values()].sort(
    (a, b) => b.depth - a.depth || b.pushed - a.pushed || a.topic.localeCompare(b.topic),
  );
}
