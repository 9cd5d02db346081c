/** Counters since the peer became a member; bytes and frames also count earlier links. */
export interface PeerStats {
  id: string;
  host: string;
  /** The link is there and the peer has told what it has. */
  up: boolean;
  /** Times a link came up. */
  links: number;
  framesIn: number;
  framesOut: number;
  bytesIn: number;
  bytesOut: number;
  /** Bytes the peer has not taken yet. */
  waitingBytes: number;
  /** Round trip in milliseconds. */
  rtt: number | undefined;
  requests: number;
  /** Requests without an answer: not reachable, too late, or no room. */
  requestsFailed: number;
  /** Those of the failed requests that were not even sent, because too much waits for the peer. */
  dropped: number;
  sendsForwarded: number;
  publishesForwarded: number;
  callsForwarded: number;
  queueUnconfirmed: number;
  queueLost: number;
}
