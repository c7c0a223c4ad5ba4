import { DisconnectCode as Disconnect } from "@shardcast/protocol";
import type { RefreshResult } from "../../../hooks/hook-results.ts";
import type { Hooks } from "../../../hooks/hooks.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import { ends, type Outcome } from "../commands/commands.ts";
import { expiry } from "../commands/expiry.ts";
import type { Heartbeats } from "../timing/heartbeats.ts";
import { type HookCalls, withoutResult } from "./hook-calls.ts";

interface HookRefreshesParts {
	readonly hooks: Pick<Hooks, "refresh">;
	readonly calls: Pick<HookCalls, "ask" | "askAside">;
	readonly heartbeats: () => Pick<Heartbeats, "refreshed">;
	/** This server's version, sent to clients. */
	readonly version: string;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

/** How many seconds longer a connection or a subscription lives when the backend fails, unless the options say that it ends. */
export const graceSeconds = 60;

/** Refreshes connections that expire by asking a backend. The client is not involved. */
export class HookRefreshes {
	readonly #parts: HookRefreshesParts;

	constructor(parts: HookRefreshesParts) {
		this.#parts = parts;
	}

	/** Whether a backend is asked, instead of the client for a new token. */
	get isOn(): boolean {
		return this.#parts.hooks.refresh !== null;
	}

	/** The connection expires now. False = no backend is configured. */
	begin(session: CentrifugeSession): boolean {
		const { hooks, calls, unixTime, heartbeats } = this.#parts;
		const hook = hooks.refresh;
		if (hook === null) return false;
		// Until there is an answer, which has a deadline.
		session.expiresAt = Number.POSITIVE_INFINITY;
		calls.askAside(hook, session, {}, (result) => {
			if (result === null) {
				session.expiresAt = unixTime() + graceSeconds;
				heartbeats().refreshed(session);
			} else if (result === "failed" || !this.#take(session, result)) session.close(Disconnect.expired);
		});
		return true;
	}

	/** A client sent a token anyway, for example because it connected before the options changed. Null = no backend is configured. */
	command(session: CentrifugeSession): Promise<Outcome> | null {
		const { hooks, calls, version, unixTime } = this.#parts;
		const hook = hooks.refresh;
		if (hook === null) return null;
		return calls.ask(hook, session, {}).then((answer): Outcome => {
			if (typeof answer === "string" || !("result" in answer)) return withoutResult(answer);
			if (!this.#take(session, answer.result)) return ends(Disconnect.expired);
			return { refresh: { client: session.id, version, ...expiry(session.expiresAt, unixTime()) } };
		});
	}

	/** False = it has expired. */
	#take(session: CentrifugeSession, { expired, expiresAt, info, meta }: RefreshResult): boolean {
		const { unixTime, heartbeats } = this.#parts;
		if (expired || expiresAt <= unixTime()) return false;
		const { user, token } = session;
		session.identify({ user, token, info: info ?? session.info, meta: meta ?? session.meta, expiresAt });
		heartbeats().refreshed(session);
		return true;
	}
}
