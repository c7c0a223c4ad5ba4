import type { Namespaces } from "@shardcast/channels";
import { DisconnectCode, ErrorCode, UnsubscribeCode, unsubscribes } from "@shardcast/protocol";
import type { Hook } from "../../../hooks/hook.ts";
import type { RefreshResult } from "../../../hooks/hook-results.ts";
import type { Hooks } from "../../../hooks/hooks.ts";
import type { Subscription } from "../audience/subscription.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import { fails, type Outcome } from "../commands/commands.ts";
import { expiry } from "../commands/expiry.ts";
import { type HookCalls, withoutResult } from "./hook-calls.ts";
import { graceSeconds } from "./hook-refreshes.ts";

export interface HookSubRefreshesParts {
	readonly hooks: Pick<Hooks, "subRefresh">;
	readonly calls: Pick<HookCalls, "ask" | "askAside">;
	/** Read at each use. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	/** How long a client has to refresh a subscription that has expired. */
	readonly closeDelaySeconds: () => number;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

/** Subscriptions that expire: the client refreshes them, or, where the namespace says so, a backend is asked. */
export class HookSubRefreshes {
	readonly #parts: HookSubRefreshesParts;

	constructor(parts: HookSubRefreshesParts) {
		this.#parts = parts;
	}

	/** When the subscription ends, or the backend is asked about it; in seconds since 1970, Infinity = never. */
	dueAt({ channel, grant }: Subscription): number {
		if (grant === null || grant.expiresAt === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
		return this.#hookOf(channel) === null ? grant.expiresAt + this.#parts.closeDelaySeconds() : grant.expiresAt;
	}

	/** The subscription expires now. False = no backend is asked. */
	begin(session: CentrifugeSession, subscription: Subscription): boolean {
		const { calls, unixTime } = this.#parts;
		const { channel, grant, isServerSide } = subscription;
		const hook = this.#hookOf(channel);
		if (hook === null || grant === null) return false;
		// Until there is an answer, of which the time is bounded.
		subscription.grant = { ...grant, expiresAt: Number.POSITIVE_INFINITY };
		calls.askAside(hook, session, { channel }, (result) => {
			if (session.subscriptions.get(channel) !== subscription) return;
			// The client may have sent a token meanwhile: by that it can be revoked from now on.
			if (result === null) session.setGrant(subscription, { info: null, ...subscription.grant, expiresAt: unixTime() + graceSeconds });
			else if (result !== "failed" && this.#take(session, subscription, result)) return;
			else if (isServerSide) session.close(DisconnectCode.subscriptionExpired);
			else session.endSubscription(channel, unsubscribes[UnsubscribeCode.expired]);
		});
		return true;
	}

	/** A client asks by itself, without a token. Null = no backend is asked. */
	async command(session: CentrifugeSession, subscription: Subscription): Promise<Outcome> {
		const { calls, unixTime } = this.#parts;
		const { channel } = subscription;
		const hook = this.#hookOf(channel);
		if (hook === null) return null;
		const answer = await calls.ask(hook, session, { channel });
		if (typeof answer === "string" || !("result" in answer)) return withoutResult(answer);
		// The server may have ended it in the meantime.
		if (session.subscriptions.get(channel) !== subscription) return fails(ErrorCode.permissionDenied);
		if (!this.#take(session, subscription, answer.result)) return fails(ErrorCode.expired);
		return { subRefresh: expiry(answer.result.expiresAt, unixTime()) ?? {} };
	}

	/** False = it has expired. */
	#take(session: CentrifugeSession, subscription: Subscription, { expired, expiresAt, info }: RefreshResult): boolean {
		if (expired || expiresAt <= this.#parts.unixTime()) return false;
		session.setGrant(subscription, { ...subscription.grant, info: info ?? subscription.grant?.info ?? null, expiresAt });
		return true;
	}

	#hookOf(channel: string): Hook<"sub_refresh"> | null {
		const { hooks, namespaces } = this.#parts;
		return hooks.subRefresh(namespaces().of(channel).options);
	}
}
