import type { Config } from "@shardcast/config";
import { type ForwardedAddress, type Reply, refusal } from "@shardcast/http";
import { type AddressKey, addressKey, addressKeyOf, LimitAudit } from "@shardcast/limits";
import { monotonicMs } from "@shardcast/wire";
import type { Commit, Feature } from "../lifecycle/feature.ts";
import type { LiveConfig } from "../lifecycle/live-config.ts";
import type { ShardOptions } from "../lifecycle/shard-options.ts";
import { type ForwardedHead, forwardedAddress } from "../transports/client-address.ts";
import { judgeUpgrade, type UpgradeHead, type UpgradeRequest } from "../transports/upgrade-request.ts";
import { Admission, type AdmittedClient, noAddressSlot } from "./admission.ts";
import { CutOff } from "./cut-off.ts";

interface ConnectionCheckParts {
	/** The row's `connectionsMax` may change at any time. */
	readonly options: Pick<ShardOptions, "config" | "row" | "board" | "rates" | "openAddresses" | "isProxy" | "log">;
	readonly live: Pick<LiveConfig, "allowedOrigins" | "trustedProxies">;
	/** All connected clients, of all protocols. */
	readonly clients: () => readonly AdmittedClient[];
	/** What messages to clients call this process; "shard" if not given. */
	readonly process?: string;
}

/** The result of an admission. */
export interface Admitted {
	/** Must be released by `ConnectionCheck.left`. */
	readonly addressSlot: number;
	/** Null = the connection's remote address is the client's. */
	readonly forwarded: ForwardedAddress | null;
}

/** Decides whether a request may become a WebSocket, whatever the protocol. Every session factory uses it. Owned by the shard's loop. */
export class ConnectionCheck implements Feature {
	readonly name = "admission";
	readonly #parts: ConnectionCheckParts;
	readonly #admission: Admission;
	readonly #cutOff: CutOff;
	#draining = false;

	constructor(parts: ConnectionCheckParts) {
		const { config, row, board, rates, openAddresses, log } = parts.options;
		this.#parts = parts;
		this.#cutOff = new CutOff({ board, nowMs: monotonicMs });
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

	/** @throws Error when the table of addresses cannot be opened. */
	reload(config: Config): Commit {
		return this.#admission.prepare(config, this.#parts.clients);
	}

	everySecond(): void {
		this.#admission.tick();
	}

	/** From now on, nobody may connect. */
	drain(): void {
		this.#draining = true;
	}

	stop(): void {
		this.#draining = true;
	}

	/** Whether subscriptions are refused; see `CutOff`. */
	readonly isCutOff = (): boolean => this.#cutOff.refuses;

	/** The reply to a new client during a drain, or while this node is cut off from the others and refuses clients; otherwise null. */
	stopping(): Reply | null {
		if (this.#draining) return refusal("shutting_down");
		if (!this.#cutOff.refuses) return null;
		this.#parts.options.row.add("refusedCutOff", 1);
		return refusal("cut_off");
	}

	/** Like `stopping`, and while a guard of this shard or of the cluster acts. Not asked about the console, which is needed most then. */
	turnedAway(): Reply | null {
		const stopping = this.stopping();
		if (stopping !== null) return stopping;
		const { row, board } = this.#parts.options;
		const nowMs = monotonicMs();
		if (!row.guards.refuses(nowMs) && !board.guards.refuses(nowMs)) return null;
		row.add("refusedOverloaded", 1);
		return refusal("overloaded");
	}

	/** Checks the head; null = accepted. */
	judge(head: UpgradeHead): Reply | null {
		const { allowedOrigins } = this.#parts.live;
		return judgeUpgrade(head, { allowedOrigins, draining: this.#draining }) ?? this.turnedAway();
	}

	/** Checks the limits on clients and addresses. An admitted client is counted from now on. */
	admit(request: UpgradeRequest): Admitted | { readonly refused: Reply } {
		const forwarded = this.forwardedAddress(request.forwarded, request.remoteText);
		return this.admitClient(forwarded, () => (forwarded === null ? addressKey(request.remote()) : addressKeyOf(forwarded.address)));
	}

	/** Like `admit`, for clients that connect by another kind of request. @param address called only while it is limited. */
	admitClient(forwarded: ForwardedAddress | null, address: () => AddressKey): Admitted | { readonly refused: Reply } {
		const admission = this.#admission;
		if (this.#parts.clients().length >= this.#parts.options.row.connectionsMax) return { refused: this.full() };
		if (admission.isOff) return { addressSlot: noAddressSlot, forwarded };
		const addressSlot = admission.admit(address());
		if (typeof addressSlot === "string") return { refused: refusal(addressSlot) };
		return { addressSlot, forwarded };
	}

	/** An admitted client has disconnected, or was refused for another reason. */
	left(addressSlot: number): void {
		this.#admission.left(addressSlot);
	}

	/** The reply when the shard is full. Counts it. */
	full(): Reply {
		const { options, process = "shard" } = this.#parts;
		const { row } = options;
		row.add("refused", 1);
		return refusal("shard_full", `this ${process} has reached its limit of ${row.connectionsMax} connections; try again`);
	}

	/** Takes a connection that is not a client's from the rates. Returns the reply if it exceeds them, or null. */
	overRate(address: string): Reply | null {
		const admission = this.#admission;
		const limit = admission.isOff ? null : admission.overRate(addressKeyOf(address));
		return limit === null ? null : refusal(limit);
	}

	/** The client's address, behind a proxy or not. */
	address(request: UpgradeRequest): string {
		return this.forwardedAddress(request.forwarded, request.remoteText)?.address ?? request.remoteText();
	}

	/** The address of a client behind a trusted proxy; null when it is connected directly. @param peer the remote address of the connection. */
	forwardedAddress(head: ForwardedHead, peer: () => string): ForwardedAddress | null {
		const { options, live } = this.#parts;
		return forwardedAddress(head, peer, { isProxy: options.isProxy, trustedProxies: live.trustedProxies });
	}
}
