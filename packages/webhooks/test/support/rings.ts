import type { Config } from "@shardcast/config";
import { type ClientRecord, EventReader, EventWriter, eventRingInMemory, Webhooks } from "@shardcast/webhooks";
import { configOf, Receivers, type Settings } from "./receiver.ts";

interface Told {
	readonly type: string;
	readonly client?: string;
	readonly channel?: string;
}

/** Two shards that write what a test says, and a collector that looks when it is told to. */
export class ManualRings {
	readonly receivers = new Receivers();
	readonly #rings = [eventRingInMemory(65_536), eventRingInMemory(65_536)];
	readonly #writers = this.#rings.map((ring) => new EventWriter(ring));
	#settings: Settings;
	readonly webhooks: Webhooks;
	opened = 0;
	/** How far the clock goes before each look. */
	stepMs = 1000;
	/** The numbers of the events that were told last. */
	lastSeqs: number[] = [];

	/** @param damaged slots of rings that something else has written to. */
	constructor(settings: Settings = {}, targets: readonly object[] = [{ name: "main", batch_delay: 0 }], damaged: readonly number[] = []) {
		this.#settings = settings;
		this.webhooks = new Webhooks({
			...this.receivers.parts,
			config: this.#config(targets),
			readers: () => {
				this.opened++;
				for (const slot of damaged) {
					this.write(slot, ["snapshotEnd", 1]);
					this.#rings[slot]!.u8.fill(0xff, this.#rings[slot]!.dataOffset);
				}
				return new Map(this.#rings.map((ring, slot) => [slot, new EventReader(ring)]));
			},
			clock: this.receivers.clock,
		} as never);
	}

	write(slot: number, ...records: readonly ClientRecord[]): void {
		for (const record of records) if (!this.#writers[slot]!.write(record)) throw new Error("the ring is full");
	}

	/** @param settings the present ones if not given. */
	use(targets: readonly object[], settings = this.#settings): void {
		this.#settings = settings;
		this.webhooks.reload(this.#config(targets));
	}

	look(): void {
		this.receivers.nowMs += this.stepMs;
		this.webhooks.look();
	}

	/** What the only webhook tells next, without ids and times. */
	async told(): Promise<Told[]> {
		const before = this.receivers.requests.length;
		this.look();
		const requests = this.receivers.requests.slice(before);
		for (const { answer } of requests) await answer({ body: Buffer.of() });
		const events = requests.flatMap(({ body }) => body.events);
		this.lastSeqs = events.map(({ seq }) => seq);
		return events.map(({ id: _id, seq: _seq, time_ms: _time, ...rest }: Told & { id?: string; seq?: number; time_ms?: number }) => rest);
	}

	/** What it tells next about channels themselves. */
	async channels(): Promise<string[]> {
		return (await this.told()).flatMap(({ type, channel, client }) =>
			channel === undefined || client !== undefined ? [] : `${type} ${channel}`,
		);
	}

	/** All that a webhook has sent so far. */
	of(name: string): string[] {
		const requests = this.receivers.requests.filter(({ options }) => options.name === name);
		return requests.flatMap(({ body }) => body.events.map(({ seq, type, channel }) => [seq, type, channel].join(" ").trim()));
	}

	#config(targets: readonly object[]): Config {
		return configOf(targets, this.#settings);
	}
}
