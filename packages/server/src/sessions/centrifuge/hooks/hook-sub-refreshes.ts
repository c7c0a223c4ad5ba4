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

interface HookSubRefreshesParts {
	readonly hooks: Pick<Hooks, "subRefresh">;
	readonly calls: Pick<HookCalls, "ask" | "askAside">;
	/** Read at each use. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	/** How many seconds a client has to refresh an expired subscription. */
	readonly closeDelaySeconds: () => number;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

/** Refreshes subscriptions that expire: by the client or, where the namespace says so, by asking a backend. */
export class HookSubRefreshes {
	readonly #parts: HookSubRefreshesParts;

	constructor(parts: HookSubRefreshesParts) {
		this.#parts = parts;
	}

	/** When the subscription ends or the backend is asked about it, in seconds since 1970; Infinity = never. */
	dueAt({ channel, grant }: Subscription): number {
		if (grant === null || grant.expiresAt === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
		return this.#hookOf(channel) === null ? grant.expiresAt + this.#parts.closeDelaySeconds() : grant.expiresAt;
	}

	/** The subscription expires now. False = no backend is configured. */
	begin(session: CentrifugeSession, subscription: Subscription): boolean {
		const { calls, unixTime } = this.#parts;
		const { channel, grant, isServerSide } = subscription;
		const hook = this.#hookOf(channel);
		if (hook === null || grant === null) return false;
		// Until there is an answer, which has a deadline.
		subscription.grant = { ...grant, expiresAt: Number.POSITIVE_INFINITY };
		calls.askAside(hook, session, { channel }, (result) => {
			if (session.subscriptions.get(channel) !== subscription) return;
			// The client may have sent a token in the meantime, by which the subscription can now be revoked.
			if (result === null) session.setGrant(subscription, { info: null, ...subscription.grant, expiresAt: unixTime() + graceSeconds });
			else if (result !== "failed" && this.#take(session, subscription, result)) return;
			else if (isServerSide) session.close(DisconnectCode.subscriptionExpired);
			else session.endSubscription(channel, unsubscribes[UnsubscribeCode.expired]);
		});
		return true;
	}

	/** A client asks for a refresh without a token. Null = no backend is configured. */
	async command(session: CentrifugeSession, subscription: Subscription): Promise<Outcome> {
		const { calls, unixTime } = this.#parts;
		const { channel } = subscription;
		const hook = this.#hookOf(channel);
		if (hook === null) return null;
		const answer = await calls.ask(hook, session, { channel });
		if (typeof answer === "string" || !("result" in answer)) return withoutResult(answer);
		// The server may have ended the subscription in the meantime.
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
