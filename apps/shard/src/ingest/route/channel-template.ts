import { everybodyTemplate, parseTemplate, type TemplatePart } from "@shardcast/service";
import { type ChannelList, channelList, everybody } from "@shardcast/wire";
import type { SourcePartition, SourceRecord } from "../source.ts";

/** Most names kept; beyond it all are forgotten, and made again as they come. */
const cachedNamesMax = 65_536;

/**
 * Gives a record's channel by a template such as `{key}.{topic}`. Names are kept, so a record of a known name costs one
 * look-up; a template of `{topic}` alone does not even make the name.
 */
export class ChannelTemplate {
	readonly #parts: readonly TemplatePart[];
	readonly #onlyTopic: boolean;
	readonly #everybody: boolean;
	readonly #lists = new Map<string, ChannelList | null>();

	constructor(template: string) {
		this.#everybody = template === everybodyTemplate;
		this.#parts = parseTemplate(template);
		this.#onlyTopic = this.#parts.length === 1 && this.#parts[0]!.kind === "topic";
	}

	/** Null when the record has no key or no header that the template asks for, or the name is empty or too long. */
	channelsOf(partition: SourcePartition, record: SourceRecord): ChannelList | null {
		if (this.#everybody) return everybody;
		const name = this.#onlyTopic ? partition.topic : this.#render(partition, record);
		if (name === null) return null;
		const known = this.#lists.get(name);
		if (known !== undefined) return known;
		if (this.#lists.size >= cachedNamesMax) this.#lists.clear();
		const list = listOf(name);
		this.#lists.set(name, list);
		return list;
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
					if (record.keyStart < 0) return null;
					name += record.bytes.toString("utf8", record.keyStart, record.keyEnd);
					break;
				case "header": {
					const value = record.header(part.name);
					if (value === undefined || value === null) return null;
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
	try {
		return channelList([name]);
	} catch (error) {
		if (error instanceof RangeError) return null;
		throw error;
	}
}
