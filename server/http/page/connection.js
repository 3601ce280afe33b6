// Keeps one stream of events going: says how it stands, and begins another when it is lost.

import { stream } from "./api.js";
import * as format from "./format.js";

const FIRST_WAIT_MS = 1000, LONGEST_WAIT_MS = 10000;
const HIDDEN_MS = 60000;  // a page that nobody looks at gives its place to another

export class Connection {
  // onStatus({state: "connecting" | "live" | "lost" | "refused" | "unknown" | "signed-out" | "paused", text}), where
  // "unknown" is that the server knows nothing of what was asked for
  constructor(onState, onStatus) {
    this.onState = onState;
    this.onStatus = onStatus;
    this.query = {};
    this.abort = new AbortController();
    this.wait = FIRST_WAIT_MS;
    this.lastSeen = null;
    let hidden;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(hidden);
      if (document.hidden) hidden = setTimeout(() => this.pause(), HIDDEN_MS);
      else if (this.paused) this.start(this.query);
    });
  }

  // In place of the stream before.
  start(query) {
    this.query = query;
    this.paused = false;
    this.abort.abort();
    clearTimeout(this.timer);
    this.abort = new AbortController();
    this.run(this.abort.signal);
  }

  tryNow() {
    this.wait = FIRST_WAIT_MS;
    this.start(this.query);
  }

  pause() {
    this.abort.abort();
    clearTimeout(this.timer);
    this.paused = true;
    this.onStatus({ state: "paused", text: "Paused" });
  }

  async run(signal) {
    let reason = "The connection to the server is lost";
    let state = "lost";
    try {
      const end = await stream(this.query, signal, (message) => {
        this.wait = FIRST_WAIT_MS;
        this.lastSeen = new Date();
        this.onStatus({ state: "live", text: "Live" });
        this.onState(message);
      });
      if (end === "end") reason = "The server has stopped";
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401 || error.status === 403) {
        this.onStatus({ state: "signed-out", text: "Not signed in", reason: error.message });
        return;
      }
      // What answers so to the question for anything is no server of ours: an ingress without one, say.
      const asked = Object.values(this.query).some((value) => value !== undefined && value !== "");
      if (asked && (error.status === 404 || error.status === 400)) {
        this.onStatus({ state: "unknown", text: "Not found", reason: error.message });
        return;
      }
      if (error.status === 503 || error.status === 429) {
        state = "refused";
        reason = `The server refuses: ${error.message}`;
      }
    }
    if (signal.aborted) return;
    const seen = this.lastSeen === null ? "" : ` What you see is of ${format.clock(this.lastSeen)}.`;
    this.retryIn(state, `${reason}.${seen}`, Math.ceil(this.wait / 1000));
    this.wait = Math.min(LONGEST_WAIT_MS, 2 * this.wait);
  }

  retryIn(state, reason, seconds) {
    if (seconds <= 0) {
      this.start(this.query);
      return;
    }
    this.onStatus({ state, text: "Connection lost", countdown: seconds, reason });
    this.timer = setTimeout(() => this.retryIn(state, reason, seconds - 1), 1000);
  }
}
