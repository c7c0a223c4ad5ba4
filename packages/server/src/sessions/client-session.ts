import type { ForwardedAddress } from "@shardcast/http";
import { type CloseCode, closeReasons } from "@shardcast/wire";
import type { DeliveredRecord } from "../delivery/delivered-record.ts";
import type { Audience } from "../hub/audience.ts";
import { noAddressSlot } from "../limits/admission.ts";
import type { Admitted } from "../limits/connection-check.ts";
import type { Transport } from "../transports/transport.ts";
import type { ClientDescription } from "../webhooks/client-events.ts";
import type { TokenId } from "./centrifuge/tokens/token-id.ts";
import type { DirectMessage } from "./direct-messages.ts";
import type { LaneOwner } from "./lanes/lane.ts";
import type { LaneRule } from "./lanes/lane-queue.ts";
import type { Session } from "./session.ts";
import type { Sessions } from "./sessions.ts";

/** What a subscription adds to `moveCost`. */
export const MoveCost = {
	/** The client gets what it misses. */
	recovering: 1,
	/** The client misses what is published until it is back. */
	lossy: 1000,
	/** The same for a client that gets everything. */
	everything: 1_000_000,
} as const;

/**
 * The protocol-independent part of a client's session: it counts as a connection, paces delivery, and closes cleanly during a drain. A subclass
 * decides which frames the protocol accepts and what the client is subscribed to.
 *
 * There is one instance per connection: with 12,000 idle clients, each word here costs 100 KB.
 */
export abstract class ClientSession<T extends Transport = Transport> implements Session<T>, LaneOwner {
	/** Set by `opened` before anything else happens. While the client is behind, this is its `Lane`. */
	transport!: Transport;
	/** Index in the list of all sessions; -1 = not in the list. Written only by `Sessions`. */
	place = -1;
	/**
	 * The code it is being closed with, a `CloseCode` or one of its protocol; 0 = not closing. Written by `LeavingSessions`, except when a
	 * message was dropped.
	 */
	leaving = 0;
	/**
	 * The most bytes that may wait for this client; its transport keeps the limit it was created with. 0 = not served yet. Written only by
	 * `LiveConfig`.
	 */
	bufferedBytesMax = 0;
	/** Slot that counts the connections of its address, -1 = not counted; see `Admission`. */
	addressSlot: number;
	/** Slot that counts the connections of its user, -1 = not counted; see `UserLimit`. */
	userSlot = noAddressSlot;
	/** The address that a trusted proxy reported; null = use the transport's remote address. */
	readonly forwarded: ForwardedAddress | null;

	constructor({ addressSlot, forwarded }: Admitted) {
		this.addressSlot = addressSlot;
		this.forwarded = forwarded;
	}

	/** "" = anonymous or not known yet. */
	abstract readonly user: string;
	/** The token it connected with; null = none. */
	abstract readonly token: TokenId | null;
	/** The channels it is subscribed to, for display. */
	abstract get channels(): readonly string[];
	/** How other clients see it; null = it has not connected yet. */
	abstract describe(): ClientDescription | null;
	/** How much is lost when the client connects again; null = it must not be asked to, as it is in the middle of something. */
	abstract get moveCost(): number | null;
	/** The registry that contains this session. */
	abstract get sessions(): Sessions;
	abstract frame(message: ArrayBuffer, isBinary: boolean): void;
	/** Whether it belongs to this audience. */
	abstract isIn(audience: Audience): boolean;
	/** Makes its initial subscriptions. Called once, when it is in the list. */
	abstract join(): void;
	/** Ends all subscriptions while the connection is still open: nothing more is delivered. Called at most once. */
	abstract leave(): void;
	/** The connection has closed: releases everything it still holds. Called once, whether or not `leave` was called. */
	abstract gone(): void;
	/** Sends a message that is outside of channels. Returns false for a client that has not connected yet. */
	abstract receive(message: DirectMessage): boolean;
	/** Whether one of its subscriptions lets publications be dropped. */
	abstract get mayDrop(): boolean;
	/** Moves all subscriptions to another transport in one step, without a gap or a duplicate. Only for `Lanes`. */
	abstract moveTo(transport: Transport): void;
	abstract laneRule(audience: Audience, record: DeliveredRecord): LaneRule;
	abstract laneChannel(audience: Audience): string;
	/** Ends the subscription that has a gap and tells the client. Only for `Lanes`. */
	abstract endAfterGap(rule: LaneRule): void;

	/** Ends the subscriptions whose own tokens have been revoked. @returns how many. */
	endRevoked(_isRevoked: (token: TokenId) => boolean): number {
		return 0;
	}

	opened(transport: T): void {
		this.transport = transport;
		this.sessions.opened(this);
	}

	laneGap(rule: LaneRule): void {
		this.sessions.lanes.gap(this, rule);
	}

	writable(): void {
		this.sessions.writable(this);
	}

	dropped(): void {
		this.sessions.dropped(this);
	}

	closed(code: number): void {
		this.sessions.closed(this, code);
	}

	/** The close frame for this code; a protocol may map the server's codes to its own. */
	closeFrame(code: number): { readonly code: number; readonly reason: string } {
		return { code, reason: closeReasons[code as CloseCode] };
	}

	/** Sends a close frame behind the messages that wait, and ends the connection. Only for `LeavingSessions`. */
	end(code: number): void {
		const frame = this.closeFrame(code);
		this.transport.end(frame.code, frame.reason);
	}

	/** Closes cleanly: nothing more is delivered, and the client is told the code. Does nothing if it is already closing. */
	close(code: number): void {
		this.sessions.close(this, code);
	}

	/** Closes with a code from 3000 to 4999 that the application or the backend has chosen. */
	disconnect(code: number, _reason: string): void {
		this.close(code);
	}
	/** True when it is closing or its connection has ended. */
	get isGone(): boolean {
		return this.leaving !== 0 || this.place < 0;
	}

	/** Must not be read after the connection has closed. */
	get address(): string {
		return this.forwarded?.address ?? Buffer.from(this.transport.getRemoteAddressAsText()).toString("latin1");
	}
}
