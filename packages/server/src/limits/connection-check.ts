import { type AllowedOrigins, type Reply, refusal } from "@shardcast/http";
import { addressKey, addressKeyOf } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import { type ForwardedHead, proxiedAddress } from "../transports/client-address.ts";
import { judgeUpgrade, type UpgradeHead, type UpgradeRequest } from "../transports/upgrade-request.ts";
import { type Admission, noAddressSlot } from "./admission.ts";

export interface ConnectionCheckParts {
	readonly admission: Admission;
	/** Clients that are here, of all protocols. */
	readonly clients: () => number;
	/** `connectionsMax` may change at any time. */
	readonly row: Pick<Counters, "add"> & { readonly connectionsMax: number };
	readonly allowedOrigins: () => AllowedOrigins;
	/** Knows our own balancer by what it shows when it forwards; null = nobody forwards. */
	readonly isProxy: ((given: string) => boolean) | null;
}

/** What a client that may connect brings along. */
export interface Admitted {
	/** To be given back by `ConnectionCheck.left`. */
	readonly addressSlot: number;
	readonly proxiedAddress: string | null;
}

/** Whether a request may become a WebSocket, whatever the protocol: asked by every session factory. One owner, the shard's loop. */
export class ConnectionCheck {
	readonly #parts: ConnectionCheckParts;
	#draining = false;

	constructor(parts: ConnectionCheckParts) {
		this.#parts = parts;
	}

	/** From now on nobody may connect. */
	drain(): void {
		this.#draining = true;
	}

	/** The answer to a request that comes during a drain; null = there is none. */
	stopping(): Reply | null {
		return this.#draining ? refusal("shutting_down") : null;
	}

	/** By its head alone; null = it may go on. */
	judge(head: UpgradeHead): Reply | null {
		return judgeUpgrade(head, { allowedOrigins: this.#parts.allowedOrigins(), draining: this.#draining });
	}

	/** By the number of clients and by their addresses. One that was let in is counted from now on. */
	admit(request: UpgradeRequest): Admitted | { readonly refused: Reply } {
		const { admission, clients, row } = this.#parts;
		if (clients() >= row.connectionsMax) return { refused: this.full() };
		const proxied = this.proxiedAddress(request.forwarded);
		if (admission.isOff) return { addressSlot: noAddressSlot, proxiedAddress: proxied };
		const addressSlot = admission.admit(proxied === null ? addressKey(request.remote()) : addressKeyOf(proxied));
		if (typeof addressSlot === "string") return { refused: refusal(addressSlot) };
		return { addressSlot, proxiedAddress: proxied };
	}

	/** A client that was let in is gone, or was refused for something else. */
	left(addressSlot: number): void {
		this.#parts.admission.left(addressSlot);
	}

	/** There is no room for one more. Counts it. */
	full(): Reply {
		const { row } = this.#parts;
		row.add("refused", 1);
		return refusal("shard_full", `this shard has its ${row.connectionsMax} connections; try again`);
	}

	/** Takes one connection that is no client's from the rates; the answer for one that is above them, or null. */
	overRate(address: string): Reply | null {
		const { admission } = this.#parts;
		const limit = admission.isOff ? null : admission.overRate(addressKeyOf(address));
		return limit === null ? null : refusal(limit);
	}

	/** The client's address, through our own proxy or not. */
	address(request: UpgradeRequest): string {
		return this.proxiedAddress(request.forwarded) ?? request.remoteText();
	}

	/** The address of a client behind our own proxy; null when it came directly. */
	proxiedAddress(head: ForwardedHead): string | null {
		return proxiedAddress(head, this.#parts.isProxy);
	}
}
