import { channelEntryIs, createRecordHead, readRecordHead } from "@shardcast/wire";
import type { LogReader } from "../src/records/log-reader.ts";
import { createLogRecordHead } from "../src/records/log-record.ts";
import { text } from "./fixtures.ts";

const entryNameOffset = 5;

/** What a reader has visited, by channel, in order; checks that each names the one before it. */
export class Visited {
	readonly #reader: LogReader;
	readonly #byChannel = new Map<string, string[]>();
	readonly #last = new Map<string, { offset: number; epoch: string }>();
	readonly #log = createLogRecordHead();
	readonly #event = createRecordHead();
	count = 0;

	constructor(reader: LogReader) {
		this.#reader = reader;
	}

	read(reader = this.#reader, max = 1_000_000): number {
		return reader.read(max, (_origin, u8, view, start, end) => {
			this.count++;
			readRecordHead(view, start, end, this.#event);
			reader.current(this.#log);
			const { offset, previous, epoch0, epoch1 } = this.#log;
			const nameAt = this.#event.channelsStart + entryNameOffset;
			const channel = text(new Uint8Array(u8.subarray(nameAt, this.#event.payloadStart)));
			if (!channelEntryIs(u8, this.#event.channelsStart, new TextEncoder().encode(channel))) throw new Error("not one channel");
			const data = text(new Uint8Array(u8.subarray(this.#event.payloadStart, this.#event.payloadEnd)));
			const epoch = `${epoch0} ${epoch1}`;
			const last = this.#last.get(channel);
			if (last !== undefined && last.epoch === epoch && last.offset !== previous)
				throw new Error(`${channel}: ${previous} comes before ${offset}, and the last one was ${last.offset}`);
			this.#last.set(channel, { offset, epoch });
			this.of(channel).push(`${offset}:${data}`);
		});
	}

	of(channel: string): string[] {
		const known = this.#byChannel.get(channel);
		if (known !== undefined) return known;
		const made: string[] = [];
		this.#byChannel.set(channel, made);
		return made;
	}
}
