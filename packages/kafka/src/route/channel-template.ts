import { everybodyTemplate, parseTemplate, type TemplatePart } from "@shardcast/config";
import { BusRecord, type ChannelList, channelList, everybody } from "@shardcast/wire";
import type { SourcePartition, SourceRecord } from "../source.ts";
import { ChannelListCache } from "./channel-list-cache.ts";

const { channelNameBytesMax } = BusRecord;
/** Stands for bytes that are not UTF-8. Such keys are refused: keys with different invalid bytes would share a channel. */
const replacement = "\ufffd";

/**
 * Finds a record's channel by a template such as `{key}.{topic}`. Names are cached, so a record with a known name costs one
 * look-up; the template `{topic}` does not even build a name. A key or header that is longer than a name may be is not read.
 */
export class ChannelTemplate {
	readonly #text: string;
	readonly #parts: readonly TemplatePart[];
	readonly #onlyTopic: boolean;
	readonly #everybody: boolean;
	readonly #kept = new ChannelListCache(listOf);

	constructor(template: string) {
		this.#text = template;
		this.#everybody = template === everybodyTemplate;
		this.#parts = parseTemplate(template);
		this.#onlyTopic = this.#parts.length === 1 && this.#parts[0]!.kind === "topic";
	}

	/** Approximate size of the cached names, in bytes. */
	get keptBytes(): number {
		return this.#kept.bytes;
	}

	/** Null when the record lacks a key or header that the template needs, or the name is empty, too long, or not UTF-8. */
	channelsOf(partition: SourcePartition, record: SourceRecord): ChannelList | null {
		if (this.#everybody) return everybody;
		const name = this.#onlyTopic ? partition.topic : this.#render(partition, record);
		return name === null || name.length > channelNameBytesMax ? null : this.#kept.of(name);
	}

	/** Why `channelsOf` returned null for this record. */
	explain(partition: SourcePartition, record: SourceRecord): string {
		const asked = `--kafka-channel ${this.#text}`;
		for (const part of this.#parts) {
			if (part.kind === "key" && record.keyStart < 0) return `its key is null, and ${asked} needs one`;
			if (part.kind === "key" && record.keyEnd - record.keyStart > channelNameBytesMax)
				return `its key has ${record.keyEnd - record.keyStart} bytes; a channel name has at most ${channelNameBytesMax}`;
			if (part.kind !== "header") continue;
			const value = record.header(part.name);
			if (value === undefined || value === null)
				return `its header ${part.name} is ${value === null ? "null" : "missing"}, and ${asked} needs it`;
			if (value.length > channelNameBytesMax)
				return `its header ${part.name} has ${value.length} bytes; a channel name has at most ${channelNameBytesMax}`;
		}
		const name = this.#render(partition, record) ?? "";
		if (name.includes(replacement)) return `the name that ${asked} gives is not valid UTF-8`;
		if (name === "") return `${asked} gives an empty name`;
		return `${asked} gives a name of ${Buffer.byteLength(name)} bytes; a channel name has at most ${channelNameBytesMax}`;
	}

	#render(partition: SourcePartition, record: SourceRecord): string | null {
		let name = "";
		for (const part of this.#parts) {
			switch (part.kind) {
				case "text":
					name += part.text;
					break;
				case "topic":
					name += partition.topic;
					break;
				case "partition":
					name += partition.partition;
					break;
				case "key":
					if (record.keyStart < 0 || record.keyEnd - record.keyStart > channelNameBytesMax) return null;
					name += record.bytes.toString("utf8", record.keyStart, record.keyEnd);
					break;
				case "header": {
					const value = record.header(part.name);
					if (value === undefined || value === null || value.length > channelNameBytesMax) return null;
					name += value.toString();
					break;
				}
				default:
					part satisfies never;
			}
		}
		return name;
	}
}

function listOf(name: string): ChannelList | null {
	if (name.includes(replacement)) return null;
	try {
		return channelList([name]);
	} catch (error) {
		if (error instanceof RangeError) return null;
		throw error;
	}
}
