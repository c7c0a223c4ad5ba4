import type { Config } from "@shardcast/config";
import { type ForwardedAddress, type Reply, refusal } from "@shardcast/http";
import { type AddressKey, addressKey, addressKeyOf, LimitAudit } from "@shardcast/limits";
import { monotonicMs } from "@shardcast/wire";
import type { Commit, Feature } from "../lifecycle/feature.ts";
import type { LiveConfig } from "../lifecycle/live-config.ts";
import type { ShardOptions } from "../lifecycle/shard-options.ts";
import type { ClientSession } from "../sessions/client-session.ts";
import { type ForwardedHead, forwardedAddress } from "../transports/client-address.ts";
import { judgeUpgrade, type UpgradeHead, type UpgradeRequest } from "../transports/upgrade-request.ts";
import { Admission, noAddressSlot } from "./admission.ts";

interface ConnectionCheckParts {
	/** The row's `connectionsMax` may change at any time. */
	readonly options: Pick<ShardOptions, "config" | "row" | "rates" | "openAddresses" | "isProxy" | "log">;
	readonly live: Pick<LiveConfig, "allowedOrigins" | "trustedProxies">;
	/** All clients that are here, of all protocols. */
	readonly clients: () => readonly ClientSession[];
}

/** What a client that may connect brings along. */
export interface Admitted {
	/** To be given back by `ConnectionCheck.left`. */
	readonly addressSlot: number;
	/** Null = its connection's address is its own. */
	readonly forwarded: ForwardedAddress | null;
}

/** Whether a request may become a WebSocket, whatever the protocol: asked by every session factory. One owner, the shard's loop. */
export class ConnectionCheck implements Feature {
	readonly name = "admission";
	readonly #parts: ConnectionCheckParts;
	readonly #admission: Admission;
	#draining = false;

	constructor(parts: ConnectionCheckParts) {
		const { config, row, rates, openAddresses, log } = parts.options;
		this.#parts = parts;
		this.#admission = new Admission({
			config,
			slot: row.slot,
			rates,
			openAddresses,
			audit: new LimitAudit(log),
			counters: row,
			nowMs: monotonicMs,
		});
	}

	/** @throws when the table of addresses cannot be opened. */
	reload(config: Config): Commit {
		return this.#admission.prepare(config, this.#parts.clients);
	}

	everySecond(): void {
		this.#admission.tick();
	}

	/** From now on nobody may connect. */
	drain(): void {
		this.#draining = true;
	}

	stop(): void {
		this.#draining = true;
	}

	/** The answer to a request that comes during a drain; null = there is none. */
	stopping(): Reply | null {
		return this.#draining ? refusal("shutting_down") : null;
	}

	/** By its head alone; null = it may go on. */
	judge(head: UpgradeHead): Reply | null {
		return judgeUpgrade(head, { allowedOrigins: this.#parts.live.allowedOrigins, draining: this.#draining });
	}

	/** By the number of clients and by their addresses. One that was let in is counted from now on. */
	admit(request: UpgradeRequest): Admitted | { readonly refused: Reply } {
		const forwarded = this.forwardedAddress(request.forwarded, request.remoteText);
		return this.admitClient(forwarded, () => (forwarded === null ? addressKey(request.remote()) : addressKeyOf(forwarded.address)));
	}

	/** As `admit`, for a client that connects by another kind of request. @param address asked for only while it is limited. */
	admitClient(forwarded: ForwardedAddress | null, address: () => AddressKey): Admitted | { readonly refused: Reply } {
		const admission = this.#admission;
		if (this.#parts.clients().length >= this.#parts.options.row.connectionsMax) return { refused: this.full() };
		if (admission.isOff) return { addressSlot: noAddressSlot, forwarded };
		const addressSlot = admission.admit(address());
		if (typeof addressSlot === "string") return { refused: refusal(addressSlot) };
		return { addressSlot, forwarded };
	}

	/** A client that was let in is gone, or was refused for something else. */
	left(addressSlot: number): void {
		this.#admission.left(addressSlot);
	}

	/** There is no room for one more. Counts it. */
	full(): Reply {
		const { row } = this.#parts.options;
		row.add("refused", 1);
		return refusal("shard_full", `this shard has its ${row.connectionsMax} connections; try again`);
	}

	/** Takes one connection that is no client's from the rates; the answer for one that is above them, or null. */
	overRate(address: string): Reply | null {
		const admission = this.#admission;
		const limit = admission.isOff ? null : admission.overRate(addressKeyOf(address));
		return limit === null ? null : refusal(limit);
	}

	/** The client's address, through a proxy or not. */
	address(request: UpgradeRequest): string {
		return this.forwardedAddress(request.forwarded, request.remoteText)?.address ?? request.remoteText();
	}

	/** The address of a client behind a proxy that is trusted; null when it came directly. @param peer the address of the connection. */
	forwardedAddress(head: ForwardedHead, peer: () => string): ForwardedAddress | null {
		const { options, live } = this.#parts;
		return forwardedAddress(head, peer, { isProxy: options.isProxy, trustedProxies: live.trustedProxies });
	}
}
