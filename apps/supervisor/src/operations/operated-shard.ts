import { type OffloadOrder, offloadQuestion } from "@shardcast/control";
import type { BoardRow } from "@shardcast/scoreboard";
import type { ChildDrained, Replaced, SupervisedChild } from "../children/supervised-child.ts";

/** A shard, as operations see it. */
export interface OperatedShard {
	readonly slot: number;
	/** Such as "shard 0". */
	readonly name: string;
	/** The version of its program; null = it never served. */
	readonly version: string | null;
	/** Its process serves, drained or not. */
	readonly serving: boolean;
	/** It has no process and gets none by itself. */
	readonly isDown: boolean;
	/** It takes new clients. */
	readonly takesClients: boolean;
	/** It is to have no clients, also after its process was started again. */
	isDrained: boolean;
	/** Clients now. */
	readonly clients: number;
	/** How many more clients it may have. */
	readonly room: number;
	/** Clients told to reconnect by drains, since the cluster's start. */
	readonly told: number;
	/** Clients lost with a process of this shard, since the cluster's start. */
	readonly lost: number;
	/** Rejects when it does not serve or answer. If it is started again, it finds `isDrained`. */
	offload(order: OffloadOrder): Promise<void>;
	/** These are those of `SupervisedChild`. */
	warmUp(): Promise<void>;
	coolDown(): void;
	replace(deadlineMs: number): Promise<Replaced>;
	drain(deadlineMs: number): Promise<ChildDrained>;
}

/** A shard by its process and its row of the scoreboard. */
export class BoardShard implements OperatedShard {
	readonly slot: number;
	readonly #child: SupervisedChild;
	readonly #row: BoardRow;

	constructor(slot: number, child: SupervisedChild, row: BoardRow) {
		this.slot = slot;
		this.#child = child;
		this.#row = row;
	}

	get name(): string {
		return this.#child.name;
	}

	get version(): string | null {
		return this.#child.version;
	}

	get serving(): boolean {
		return this.#child.serving;
	}

	get isDown(): boolean {
		return this.#child.isDown;
	}

	get takesClients(): boolean {
		return this.serving && this.#row.takesClients;
	}

	get isDrained(): boolean {
		return this.#row.isDrained;
	}
	set isDrained(value: boolean) {
		this.#row.isDrained = value;
	}

	get clients(): number {
		return this.#row.webSockets;
	}

	get room(): number {
		return Math.max(0, this.#row.connectionsMax - this.#row.webSockets);
	}

	get told(): number {
		return this.#row.get("toldToLeave");
	}

	get lost(): number {
		return this.#row.get("closedCrash");
	}

	async offload(order: OffloadOrder): Promise<void> {
		await this.#child.request(offloadQuestion.name, order, offloadQuestion.deadlineMs);
	}

	warmUp(): Promise<void> {
		return this.#child.warmUp();
	}

	coolDown(): void {
		this.#child.coolDown();
	}

	replace(deadlineMs: number): Promise<Replaced> {
		return this.#child.replace(deadlineMs);
	}

	drain(deadlineMs: number): Promise<ChildDrained> {
		this.#child.end();
		return this.#child.drain(deadlineMs);
	}
}
