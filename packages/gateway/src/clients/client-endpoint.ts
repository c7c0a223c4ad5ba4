import type { Config } from "@shardcast/config";
import { type Reply, refusal } from "@shardcast/http";
import type { Counters } from "@shardcast/scoreboard";
import {
	type Admitted,
	type ClientTokens,
	type Connecting,
	type ConnectionCheck,
	type PendingConnect,
	revokedReply,
	type SessionFactory,
	type ShardRevocations,
	type TopicTransport,
	type TransportLimits,
	type UpgradeRequest,
	type UserLimit,
} from "@shardcast/server/listening";
import { FrameLayout } from "../frames/frame-descriptor.ts";
import { type ClientIdentity, type ClientOwner, GatewayClient } from "./gateway-client.ts";

type Connected = Connecting<TopicTransport> | { readonly refused: Reply };

interface ClientEndpointParts {
	readonly live: { readonly config: Pick<Config, "idleTimeoutMs" | "maxFrameBytes"> };
	readonly check: Pick<ConnectionCheck, "judge" | "admit" | "left" | "stopping" | "full">;
	readonly tokens: Pick<ClientTokens, "tokenIn" | "isOpenTo" | "identify">;
	/** Users and tokens that are refused although the token is valid. */
	readonly revocations: Pick<ShardRevocations, "isBlocked" | "isRevoked">;
	readonly userLimit: Pick<UserLimit, "admit">;
	readonly counters: Pick<Counters, "add">;
	/** Most bytes that may wait in a client's socket. */
	readonly bufferedBytesMax: number;
	/** Whether there is room for one more client. */
	readonly hasRoom: () => boolean;
	readonly owner: ClientOwner;
}

/** A message somewhat above the limit is read, so that its client is told that it is refused; a longer one cuts the connection. */
const slackBytes = 1024 * 1024;

/** The endpoint of WebSocket clients: decides who may connect, by the rules of the raw endpoint of a shard. */
export class ClientEndpoint implements SessionFactory<TopicTransport> {
	readonly paths = ["/", "/ws"];
	readonly #parts: ClientEndpointParts;

	constructor(parts: ClientEndpointParts) {
		this.#parts = parts;
	}

	limits(): TransportLimits {
		const { live, bufferedBytesMax } = this.#parts;
		const { idleTimeoutMs, maxFrameBytes } = live.config;
		return { frameBytesMax: FrameLayout.messageHeaderBytes + maxFrameBytes + slackBytes, bufferedBytesMax, idleTimeoutMs };
	}

	connect(request: UpgradeRequest): Connected | PendingConnect<TopicTransport> {
		const { check, tokens } = this.#parts;
		const refused = check.judge(request.head);
		if (refused !== null) return { refused };
		const admitted = check.admit(request);
		if ("refused" in admitted) return admitted;
		const token = tokens.tokenIn(request.head);
		if (tokens.isOpenTo(token)) return this.#enter(admitted, null);
		return {
			decided: tokens
				.identify(token)
				.then((known) => () => ("refused" in known ? this.#refuse(admitted, known.refused) : this.#recheck(admitted, known.identity))),
			abandon: () => check.left(admitted.addressSlot),
		};
	}

	/** Checks again what may have changed while the token was verified. @param identity null = the client need not authenticate. */
	#recheck(admitted: Admitted, identity: ClientIdentity | null): Connected {
		const { check, hasRoom, revocations } = this.#parts;
		const revoked = identity === null ? null : revokedReply(revocations, identity);
		if (revoked !== null) return this.#refuse(admitted, revoked);
		const refused = check.stopping() ?? (hasRoom() ? null : check.full());
		if (refused === null) return this.#enter(admitted, identity);
		check.left(admitted.addressSlot);
		return { refused };
	}

	#refuse(admitted: Admitted, refused: Reply): Connected {
		const { check, counters } = this.#parts;
		check.left(admitted.addressSlot);
		if (refused.status === 401) counters.add("refusedUnauthorized", 1);
		else if (refused.status === 403) counters.add("refusedForbidden", 1);
		return { refused };
	}

	#enter(admitted: Admitted, identity: ClientIdentity | null): Connected {
		const { owner, userLimit, check } = this.#parts;
		const session = new GatewayClient(owner, admitted, identity);
		if (identity === null || userLimit.admit(session, identity.user)) return { session };
		check.left(admitted.addressSlot);
		return { refused: refusal("connections_per_user") };
	}
}
