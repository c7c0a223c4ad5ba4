import { describe, expect, it } from "vitest";
import { ArgumentError, duration, integer, oneOf, optional, parseArguments, required, text, toggle } from "../../src/admin/arguments.ts";
import { commandText } from "../../src/admin/command-text.ts";

const table = {
	shard: required(integer("<shard>", { min: 0, max: 63 }), { help: "A shard." }),
	mode: optional(oneOf(["soft", "hard"]), { help: "How." }),
	user: optional(text("<user>", { bytesMax: 5 }), { help: "Who." }),
	for: optional(duration({ minMs: 1000, maxMs: 60_000 }), { help: "How long." }),
	rolling: toggle("One after the other."),
};
const none = { mode: undefined, user: undefined, for: undefined, rolling: undefined };

describe("arguments of a verb", () => {
	it("are the same as texts of a command line and as values of JSON", () => {
		expect(parseArguments(table, { shard: "7" })).toEqual({ ...none, shard: 7 });
		expect(parseArguments(table, { shard: 7, rolling: true, for: "1m", mode: "hard", user: "42" })).toEqual({
			...{ shard: 7, rolling: true, for: 60_000, mode: "hard", user: "42" },
		});
		expect(parseArguments(table, { shard: 0, mode: null })).toEqual({ ...none, shard: 0 });
	});

	it.each([
		[{}, "shard is missing"],
		[{ shard: "-1" }, 'shard: "-1" is not a whole number from 0 to 63'],
		[{ shard: "1e1" }, 'shard: "1e1" is not a whole number'],
		[{ shard: 1.5 }, "shard: 1.5 is not a whole number"],
		[{ shard: 64 }, "is not a whole number from 0 to 63"],
		[{ shard: [1] }, "shard: [1] is not a whole number"],
		[{ shard: 1, mode: "loud" }, 'mode: "loud" is not one of soft, hard'],
		[{ shard: 1, user: "" }, 'user: "" is not a text of 1 to 5 bytes'],
		[{ shard: 1, user: "ééé" }, "is not a text of 1 to 5 bytes"],
		[{ shard: 1, for: 5 }, 'for: 5 is not a duration, such as "10m"'],
		[{ shard: 1, for: "1h" }, 'for: "1h" is not between 1s and 1m'],
		[{ shard: 1, for: "soon" }, 'for: "soon" '],
		[{ shard: 1, rolling: "yes" }, 'rolling: "yes" is neither true nor false'],
		[{ shard: 1, shards: 2 }, 'unknown argument "shards"; there is shard, mode, user, for, rolling'],
		[{ shard: 1, user: "x".repeat(500) }, "…"],
		[JSON.parse('{"shard": 1, "__proto__": {"rolling": true}}'), 'unknown argument "__proto__"'],
	])("refuses %j and names what is wrong", (given, message) => {
		expect(() => parseArguments(table, given)).toThrow(ArgumentError);
		expect(() => parseArguments(table, given)).toThrow(message);
	});

	it("does not take what every object inherits for an argument", () => {
		const inherited = { constructor: required(text("<x>", { bytesMax: 5 }), { help: "" }) };
		expect(() => parseArguments(inherited, {})).toThrow("constructor is missing");
		expect(commandText({ name: "x", arguments: inherited }, {})).toBe("x");
	});

	it("stand as a command line in the log: quoted where they could be misread, and bounded", () => {
		const verb = { name: "drain", arguments: table };
		expect(commandText(verb, { shard: 7, rolling: true, for: "10m" })).toBe("drain 7 --for 10m --rolling");
		expect(commandText(verb, { shard: "0", user: "a b\n", rolling: "false" })).toBe('drain "0" --user "a b\\n"'.replace('"0"', "0"));
		expect(commandText(verb, { shard: "x".repeat(5000) }).length).toBeLessThan(210);
		// Beginning of a terminal's order, reversed text, and a character outside the basic plane.
		expect(commandText(verb, { user: "\u009b2J\u202e\u{e0041}é" })).toBe('drain --user "\\u009b2J\\u202e\\udb40\\udc41é"');
	});
});
