import type { MessageSink } from "@shardcast/bus";
import { Namespaces } from "@shardcast/channels";
import { type Config, defaultConfig } from "@shardcast/config";
import { channelList, publishAccepted, RecordKind } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { CheckedSink } from "../../src/delivery/incoming/checked-sink.ts";

const { channelWithoutNamespace: plain } = defaultConfig();

function setup(values: Partial<Config>) {
	const passed: string[] = [];
	const take: MessageSink["publish"] = (_kind, _sender, { names }, payload) => {
		passed.push(`${names.join()} ${Buffer.from(payload)}`);
		return publishAccepted;
	};
	const namespaces = new Namespaces(defaultConfig(values));
	const sink = new CheckedSink({ publish: take, publishOrHold: take }, () => namespaces);
	const outcomes = (channels: readonly string[], payload: string) =>
		[sink.publish, sink.publishOrHold].map((publish) => {
			const result = publish.call(sink, RecordKind.text, 0, channelList(channels), Buffer.from(payload, "latin1"));
			return result instanceof Promise ? "later" : result.outcome;
		});
	return { outcomes, passed };
}

const namespace = (name: string, more: object) => ({ ...plain, name, ...more });

describe("publications that channels do not accept", () => {
	it.each([
		["json", '{"a":1}', "accepted"],
		["json", " [1] ", "accepted"],
		["json", "text", "invalid"],
		["json", "", "invalid"],
		["json", '"\xff"', "invalid"],
		["json", '{"a":1}x', "invalid"],
		["object", '{"a":1}', "accepted"],
		["object", " {} ", "accepted"],
		["object", "[1]", "invalid"],
		["object", "{", "invalid"],
		["binary", "", "accepted"],
		["any", "\xff", "accepted"],
		["small", "12345", "accepted"],
		["small", "123456", "too_large"],
	])("in a channel of %s: %j is %s, on every path", (name, payload, outcome) => {
		const { outcomes, passed } = setup({
			channelNamespaces: [
				namespace("json", { publicationDataFormat: "json" }),
				namespace("object", { publicationDataFormat: "json_object" }),
				namespace("binary", { publicationDataFormat: "binary" }),
				namespace("any", {}),
				namespace("small", { publicationBytesMax: 5 }),
			],
		});
		expect(outcomes([`${name}:c`], payload)).toEqual([outcome, outcome]);
		expect(outcomes(["any:c", `${name}:c`], payload)).toEqual([outcome, outcome]);
		expect(passed.length).toBe(outcome === "accepted" ? 4 : 0);
	});

	it("can be configured for all channels, and differently for those of a namespace", () => {
		const { outcomes } = setup({
			channelPublicationDataFormat: "json",
			channelNamespaces: [namespace("json", {}), namespace("bytes", { publicationDataFormat: "binary" })],
		});
		expect([outcomes(["c"], "x"), outcomes(["json:c"], "x"), outcomes(["bytes:c"], "x")]).toEqual([
			["invalid", "invalid"],
			["invalid", "invalid"],
			["accepted", "accepted"],
		]);
	});

	it("without a channel, and in channels without a namespace, everything is accepted", () => {
		const { outcomes } = setup({ channelNamespaces: [namespace("json", { publicationDataFormat: "json" })] });
		expect([outcomes([], "x"), outcomes(["c"], "x"), outcomes(["other:c"], "x")]).toEqual(Array(3).fill(["accepted", "accepted"]));
	});
});
