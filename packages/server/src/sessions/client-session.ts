import type { ToldAddress } from "@shardcast/http";
import { type CloseCode, closeReasons } from "@shardcast/wire";
import type { DeliveredRecord } from "../delivery/delivered-record.ts";
import type { Audience } from "../hub/audience.ts";
import { noAddressSlot } from "../limits/admission.ts";
import type { Admitted } from "../limits/connection-check.ts";
import type { Transport } from "../transports/transport.ts";
import type { ClientDescription } from "../webhooks/client-events.ts";
import type { TokenId } from "./centrifuge/tokens/token-id.ts";
import type { LaneOwner } from "./lanes/lane.ts";
import type { LaneRule } from "./lanes/lane-queue.ts";
import type { Session } from "./session.ts";
import type { Sessions } from "./sessions.ts";

/**
 * A client's session, whatever its protocol: it counts as a connection, delivery is paced by it, a drain closes it in good order. What a
 * protocol adds: which frames it takes, and what it listens to.
 *
 * One object for each connection: with 12,000 idle clients every word here is 100 KB.
 */
export abstract class ClientSession<T extends Transport = Transport> implements Session<T>, LaneOwner {
	/** Set by `opened`, before anything else happens; a `Lane` while the client has to read. */
	transport!: Transport;
	/** Its place in the list of all sessions; -1 = it is not in there. One writer, `Sessions`. */
	place = -1;
	/** The code that it is being closed with, a `CloseCode` or one of its protocol; 0 = it is served. One writer, `LeavingSessions`, but for one that has dropped a message. */
	leaving = 0;
	/** What may wait for it, at most: its transport keeps the limit that it came under. 0 = not served yet. One writer, `LiveConfig`. */
	bufferedBytesMax = 0;
	/** Its place in the count of its address's connections, -1 = not counted; see `Admission`. */
	addressSlot: number;
	/** Its place in the count of its user's connections, -1 = not counted; see `UserLimit`. */
	userSlot = noAddressSlot;
	/** Its address, as a trusted proxy told it; null = the transport's own remote address. */
	readonly told: ToldAddress | null;

	constructor({ addressSlot, told }: Admitted) {
		this.addressSlot = addressSlot;
		this.told = told;
	}

	/** "" = anonymous, or not known yet. */
	abstract readonly user: string;
	/** Of the token that it came with; null = it came without one. */
	abstract readonly token: TokenId | null;
	/** Those that it listens to, for people. */
	abstract get channels(): readonly string[];
	/** Who it is, for others; null = it has not connected yet. */
	abstract describe(): ClientDescription | null;
	/** All sessions, of which this is one. */
	abstract get sessions(): Sessions;
	abstract frame(message: ArrayBuffer, isBinary: boolean): void;
	/** Whether it gets what this audience gets. */
	abstract isIn(audience: Audience): boolean;
	/** Subscribes to what it listens to from the start. Called once, when it is in the list. */
	abstract join(): void;
	/** Ends all subscriptions while the connection is open: nothing more is delivered. Called once at most. */
	abstract leave(): void;
	/** The connection is gone: gives back whatever it still has. Called once, after `leave` or without it. */
	abstract gone(): void;
	/** Gets all that it listens to by another transport, in one step: nothing is missed, nothing comes twice. Only for `Lanes`. */
	abstract moveTo(transport: Transport): void;
	abstract laneRule(audience: Audience, record: DeliveredRecord): LaneRule;
	abstract laneChannel(audience: Audience): string;
	/** Ends the subscription that has a gap, and tells the client. Only for `Lanes`. */
	abstract endAfterGap(rule: LaneRule): void;

	/** Ends the subscriptions whose own tokens this says are revoked. @returns how many. */
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

	/** What the client is told when it is closed with this code: a protocol may have its own for the server's. */
	closeFrame(code: number): { readonly code: number; readonly reason: string } {
		return { code, reason: closeReasons[code as CloseCode] };
	}

	/** Tells the client why, behind what waits, and ends the connection. Only for `LeavingSessions`. */
	end(code: number): void {
		const frame = this.closeFrame(code);
		this.transport.end(frame.code, frame.reason);
	}

	/** Closes it in good order: nothing is delivered from now on, and the client is told the code. Nothing if it is being closed already. */
	close(code: number): void {
		this.sessions.close(this, code);
	}

	/** Closes it with a code, 3000 to 4999, that somebody else has chosen. */
	disconnect(code: number, _reason: string): void {
		this.close(code);
	}
	/** It is being closed, or its connection has ended. */
	get isGone(): boolean {
		return this.leaving !== 0 || this.place < 0;
	}

	/** Not to be asked for once the connection is closed. */
	get address(): string {
		return this.told?.address ?? Buffer.from(this.transport.getRemoteAddressAsText()).toString("latin1");
	}
}
