import type { ForwardedAddress } from "@shardcast/http";
import type { AdmittedClient, CountedUser, Session, TokenId, TopicTransport } from "@shardcast/server/listening";
import { noAddressSlot } from "@shardcast/server/listening";
import type { BufferShare } from "../buffers/buffer-share.ts";
import type { ClientLanes } from "../lanes/client-lanes.ts";
import type { HeldBudget } from "../lanes/held-frames.ts";
import type { ClientIntake } from "./client-intake.ts";
import type { ClientOutput, GatewayTransport } from "./client-output.ts";
import { ClientTurn } from "./client-turns.ts";
import type { Pumped } from "./pump-turns.ts";

/** What the gateway does for its clients. */
export interface ClientOwner {
	/** Gives the client its id and its queues. */
	opened(client: GatewayClient): void;
	/** @param message valid until this returns. */
	received(client: GatewayClient, message: ArrayBuffer, isBinary: boolean): void;
	closed(client: GatewayClient): void;
	/** Closes it: its user is blocked, or its token revoked. */
	endRevoked(client: GatewayClient, code: number, reason: string): void;
}

/** What a client has from when it is open. */
export interface ClientQueues {
	/** Towards the client. */
	readonly output: ClientOutput;
	/** What waits in `output`, which owns them: others only take out VIDEO for which there are newer frames. */
	readonly lanes: Pick<ClientLanes, "olderVideo">;
	/** From the client. */
	readonly intake: ClientIntake;
	/** For frames of the client that wait. */
	readonly budget: HeldBudget;
	/** Of the pool: of what it sends, and of what the gateway itself tells it. */
	readonly share: BufferShare;
}

/** Who a client is by its token. */
export interface ClientIdentity {
	/** "" = anonymous. */
	readonly user: string;
	/** When the token expires, in seconds since 1970; Infinity = never. */
	readonly expiresAt: number;
	/** What it can be revoked by. */
	readonly token: TokenId;
}

/** One WebSocket client, from open to close. */
export class GatewayClient implements Session<TopicTransport>, AdmittedClient, CountedUser, Pumped {
	/** Set when it opens; never 0 from then on. */
	id = 0;
	/** Index in the list of all clients; -1 = not in the list. Written only by `GatewayClients`. */
	place = -1;
	pumpLists = 0;
	pumpedAtOnce = 0;
	/** It is being closed: nothing of it is passed on, and nothing to it. */
	isLeaving = false;
	transport!: GatewayTransport;
	queues!: ClientQueues;
	/** Written only by `ClientTurns`. */
	readonly turn = new ClientTurn();
	addressSlot: number;
	userSlot = noAddressSlot;
	/** Null = it has not authenticated. */
	readonly identity: ClientIdentity | null;
	readonly #forwarded: ForwardedAddress | null;
	readonly #owner: ClientOwner;

	constructor(
		owner: ClientOwner,
		{ addressSlot, forwarded }: { readonly addressSlot: number; readonly forwarded: ForwardedAddress | null },
		identity: ClientIdentity | null,
	) {
		this.#owner = owner;
		this.addressSlot = addressSlot;
		this.#forwarded = forwarded;
		this.identity = identity;
	}

	get user(): string {
		return this.identity?.user ?? "";
	}

	get token(): TokenId | null {
		return this.identity?.token ?? null;
	}

	/** True when it is closing, or its connection has ended. */
	get isGone(): boolean {
		return this.isLeaving || this.place < 0;
	}

	/** Must not be read after the connection has closed. */
	get address(): string {
		return this.#forwarded?.address ?? Buffer.from(this.transport.getRemoteAddressAsText()).toString("latin1");
	}

	opened(transport: TopicTransport): void {
		this.transport = transport as GatewayTransport;
		this.#owner.opened(this);
	}

	frame(message: ArrayBuffer, isBinary: boolean): void {
		if (!this.isGone) this.#owner.received(this, message, isBinary);
	}

	writable(): void {
		if (!this.isGone) this.queues.output.writable();
	}

	/** Called for a client that a revocation closes. */
	disconnect(code: number, reason: string): void {
		this.#owner.endRevoked(this, code, reason);
	}

	/** It has no subscriptions, whose tokens could be revoked. @returns how many have ended. */
	endRevoked(): number {
		return 0;
	}

	/** It does not happen: no more is given to the transport than it takes. */
	dropped(): void {
		throw new Error(`a message to client ${this.id} was dropped, which its queues must not let happen`);
	}

	closed(): void {
		this.#owner.closed(this);
		this.addressSlot = noAddressSlot;
	}
}
