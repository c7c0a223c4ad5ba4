import { describe, expect, it } from "vitest";
import { checkValue, unknownKeys } from "../src/load/check-value.ts";
import { fromText } from "../src/load/file/file.ts";
import type { FoundValue } from "../src/load/layer.ts";
import { yamlLines } from "../src/load/print.ts";
import { changesOf } from "../src/load/reload.ts";
import { field } from "../src/options/kind.ts";
import { duration, integer, list, secret, text, toggle } from "../src/options/kinds.ts";
import { emptyTable, objects, table, toFileValue } from "../src/options/objects.ts";
import { shapeOf } from "../src/options/shape.ts";

const name = text({ argument: "<name>", matches: /^[a-z]+$/, expected: "a name of small letters" });

/** A list of objects as a section would have it, with every kind of field and a list within. */
const rooms = objects({
	identity: "name",
	fields: {
		name: field({ key: "name", kind: name }),
		historySize: field({ key: "history_size", kind: integer({ min: 0, max: 100 }), default: 0 }),
		historyTtlMs: field({ key: "history_ttl", kind: duration({ minMs: 1000, maxMs: 60_000, zero: true }), default: 0 }),
		presence: field({ key: "presence", kind: toggle(), default: false }),
		tags: field({ key: "tags", kind: list({ argument: "<list>" }), default: [] }),
		key: field({ key: "key", kind: secret({ argument: "<key>", charactersMin: 8 }), default: undefined }),
		doors: field({
			key: "doors",
			kind: objects({
				identity: "target",
				fields: { target: field({ key: "to", kind: name }), wide: field({ key: "wide", kind: toggle(), default: true }) },
			}),
			default: [],
		}),
	},
});

const shape = shapeOf([
	["house.floors", "floors"],
	["house.rooms", "rooms"],
]);

/** What the file's text says, each mistake a line without the file's name. */
function read(yaml: string): { readonly value: unknown; readonly mistakes: readonly string[] } {
	const { found, mistakes } = fromText(yaml, "f", shape);
	const checked = found.has("rooms") ? checkValue(rooms, found.get("rooms")!) : { value: undefined };
	if ("value" in checked) return { value: checked.value, mistakes };
	return { value: undefined, mistakes: [...mistakes, ...checked.mistakes] };
}

const hall = {
	name: "hall",
	historySize: 10,
	historyTtlMs: 30_000,
	presence: true,
	tags: ["a", "b"],
	key: "swordfish",
	doors: [
		{ target: "street", wide: true },
		{ target: "cellar", wide: false },
	],
};
const attic = { name: "attic", historySize: 0, historyTtlMs: 0, presence: false, tags: [], key: undefined, doors: [] };

const hallInFile = {
	name: "hall",
	history_size: 10,
	history_ttl: "30s",
	presence: true,
	tags: ["a", "b"],
	key: "swordfish",
	doors: [{ to: "street" }, { to: "cellar", wide: false }],
};

const hallYaml = `
house:
  rooms:
    - name: hall
      history_size: 10
      history_ttl: 30s
      presence: true
      tags: [a, b]
      key: swordfish
      doors:
        - to: street
        - {to: cellar, wide: false}
    - name: attic
      history_size:
`;

describe("a list of objects", () => {
	it("is read from YAML, JSON, and JSON in a flag or the environment; what is not given has its default", () => {
		expect(read(hallYaml)).toEqual({ value: [hall, attic], mistakes: [] });
		const json = JSON.stringify([hallInFile, { name: "attic" }]);
		expect(read(`{"house": {"rooms": ${json}}}`)).toEqual({ value: [hall, attic], mistakes: [] });
		expect(checkValue(rooms, { raw: json, layer: { kind: "environment", name: "HOUSE_ROOMS" } })).toEqual({ value: [hall, attic] });
	});

	it("names line and path of every mistake at once, and the nearest name", () => {
		const yaml = `
house:
  rooms:
    - name: hall
      history_size: many
      history_tll: 1s
      doors:
        - to: street
          wied: no
        - to: street
          wide: 7
    - history_ttl: 5
      colour: red
    -
      name: hall
    - name: [x, y]
    - attic
`;
		const names = "name, history_size, history_ttl, presence, tags, key, doors";
		expect(read(yaml).mistakes.toSorted()).toEqual(
			[
				'f:5: house.rooms[0].history_size: "many" is not a whole number from 0 to 100',
				'f:6: house.rooms[0].history_tll: unknown key; did you mean "history_ttl"?',
				'f:9: house.rooms[0].doors[0].wied: unknown key; did you mean "wide"?',
				'f:10: house.rooms[0].doors[1].to: "street" appears twice; make each different',
				'f:11: house.rooms[0].doors[1].wide: "7" is neither true nor false',
				"f:12: house.rooms[1].name: is missing; set it",
				'f:12: house.rooms[1].history_ttl: "5" has no unit; write 5s or 5ms',
				`f:13: house.rooms[1].colour: unknown key; there are ${names}`,
				'f:15: house.rooms[2].name: "hall" appears twice; make each different',
				'f:16: house.rooms[3].name: "["x","y"]" is neither text nor a number',
				"f:17: house.rooms[4]: the value is not a table of options",
			].toSorted(),
		);
	});

	it.each([
		["house: {rooms: 3}", 'f:1: house.rooms: the value is not a list of objects, such as [{"name": "…"}]'],
		["house: {rooms: none}", 'f:1: house.rooms: the value is not a list of objects, such as [{"name": "…"}]'],
		["house:\n  rooms: {hall: {}}", "f:2: house.rooms: the value is not a list of objects"],
		["house:\n  rooms:\n    - {name: a, tags: x, tags: y}", 'f:3: "tags" appears twice; remove one of them'],
		["house:\n  rooms:\n    - &a {name: a, doors: *a}", "f:3: house.rooms[0].doors: the value is not a list of objects"],
		["house:\n  rooms:\n    - name: a\n      __proto__: {b: 1}", "f:4: house.rooms[0].__proto__: unknown key"],
	])("%j", (yaml, line) => {
		const { mistakes } = read(yaml);
		expect(mistakes).toHaveLength(1);
		expect(mistakes[0]).toContain(line);
	});

	it("names the place within a flag or a variable", () => {
		const checked = checkValue(rooms, { raw: '[{"name":"a","presence":3}]', layer: { kind: "environment", name: "HOUSE_ROOMS" } });
		expect(checked).toEqual({ mistakes: ['HOUSE_ROOMS: [0].presence: "3" is neither true nor false'] });
	});

	it("shows no secret in any mistake", () => {
		for (const wrong of [
			"- name: a\n      key: sw rdfish",
			"- [sw rdfish]",
			"- sw rdfish",
			'"sw rdfish"',
			"- {name: a, key: [sw rdfish]}",
		]) {
			const { mistakes } = read(`house:\n  rooms:\n    ${wrong}\n`);
			expect(mistakes, wrong).toHaveLength(1);
			expect(mistakes[0], wrong).not.toContain("rdfish");
		}
	});

	it("finds the line behind an alias", () => {
		const yaml = "house:\n  floors: &a\n    - name: a\n      presence: maybe\n  rooms: *a\n";
		expect(read(yaml).mistakes).toEqual(['f:4: house.rooms[0].presence: "maybe" is neither true nor false']);
	});

	it("says what is wrong with the first of many, whose rest is only counted: to find a line takes time", { tags: ["long"] }, () => {
		const lines = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_, index) => line(index)).join("\n");
		const items = read(`house:\n  rooms:\n${lines(1_000, (i) => `    - name: ${i}`)}`).mistakes;
		const keys = read(`house:\n  rooms:\n    - name: a\n${lines(1_000, (i) => `      k${i}: 1`)}`).mistakes;
		for (const mistakes of [items, keys]) {
			expect(mistakes).toHaveLength(1_000);
			expect(mistakes.filter((line) => line !== "")).toHaveLength(20);
		}
	});

	it("is printed so that it reads back as it was, but for secrets", () => {
		const value = [hall, attic];
		const lines = yamlLines(shapeOf([["house.rooms", "rooms"]]), () => ({ kind: rooms, value, note: "f:3: house.rooms" }));
		const printed = lines.join("\n");
		expect(printed).toMatch(/^ {2}rooms: +# f:3: house\.rooms\n {4}- name: hall\n {6}history_size: 10\n {6}history_ttl: 30s$/m);
		expect(printed).toMatch(/^ {6}# key: set \(hidden\)$/m);
		const withoutKey: Record<string, unknown> = { ...hall };
		delete withoutKey.key;
		expect(read(printed)).toEqual({ value: [withoutKey, attic], mistakes: [] });
		expect(checkValue(rooms, { raw: rooms.show(value), layer: { kind: "flag", name: "--rooms" } } satisfies FoundValue)).toEqual({
			value: [withoutKey, attic],
		});
	});

	it("is taken from a program, in whose objects the fields have the names that the code reads", () => {
		const layer = { kind: "flag", name: "rooms" } as const;
		expect(checkValue(rooms, { raw: toFileValue(rooms, [hall, attic]), layer })).toEqual({ value: [hall, attic] });
		const wrong = [{ name: "a", historyTtlMs: 1, colour: "red", doors: [{ target: 7 }] }, null, 3];
		expect(checkValue(rooms, { raw: toFileValue(rooms, wrong), layer })).toEqual({
			mistakes: expect.arrayContaining([
				'rooms: [0].history_ttl: "1ms" is not 0 or between 1s and 1m',
				'rooms: [0].doors[0].to: "7" is not a name of small letters',
				expect.stringContaining("rooms: [0].colour: unknown key; there are name, history_size"),
				"rooms: [1]: the value is not a table of options",
				"rooms: [2]: the value is not a table of options",
			]),
		});
	});

	it("is told field by field when it changes, without secrets", () => {
		const [street] = hall.doors;
		const next = [
			{ ...hall, historySize: 20, key: "another-one", doors: [{ ...street, wide: false }] },
			{ ...attic, name: "cellar" },
		];
		expect(changesOf(rooms, "house.rooms", [hall, attic], next)).toEqual([
			{ path: "house.rooms[hall].history_size", from: "10", to: "20" },
			{ path: "house.rooms[hall].key", from: "set (hidden)", to: "another (hidden)" },
			{ path: "house.rooms[hall].doors[street].wide", from: "true", to: "false" },
			{ path: "house.rooms[hall].doors[cellar]", from: "present", to: "absent" },
			{ path: "house.rooms[attic]", from: "present", to: "absent" },
			{ path: "house.rooms[cellar]", from: "absent", to: "present" },
		]);
		expect(changesOf(rooms, "r", [hall, attic], [attic, hall])).toEqual([{ path: "r", from: "hall, attic", to: "attic, hall" }]);
		expect(changesOf(rooms, "r", [hall], [{ ...hall }])).toEqual([]);
	});
});

describe("a table", () => {
	const fields = {
		size: field({ key: "history_size", kind: integer({ min: 0, max: 100 }), default: 5 }),
		ttlMs: field({ key: "history_ttl", kind: duration({ minMs: 1000, maxMs: 60_000, zero: true }), default: 0 }),
		key: field({ key: "key", kind: secret({ argument: "<key>", charactersMin: 8 }), default: undefined }),
	};
	const room = table({ fields, foreign: new Set(["colour"]) });
	const check = (raw: unknown) => checkValue(room, { raw, layer: { kind: "environment", name: "ROOM" } });
	const value = { size: 7, ttlMs: 2000, key: "swordfish" };

	it("is read from plain data and from JSON; what is not given has its default", () => {
		expect(check({ history_size: "7", history_ttl: "2s", key: "swordfish" })).toEqual({ value });
		expect(check('{"history_ttl":"2s"}')).toEqual({ value: { size: 5, ttlMs: 2000, key: undefined } });
		expect(check({})).toEqual({ value: emptyTable(fields) });
	});

	it("names every mistake, and shows no secret", () => {
		expect(check({ history_size: 700, history_tll: "2s", key: "sword" })).toEqual({
			mistakes: expect.arrayContaining([
				'ROOM: history_size: "700" is not a whole number from 0 to 100',
				'ROOM: history_tll: unknown key; did you mean "history_ttl"?',
				"ROOM: key: the value must have at least 8 characters and no white space",
			]),
		});
		expect(check("sword")).toEqual({ mistakes: ["ROOM: the value is not a table of options"] });
	});

	it("leaves alone what another server knows, and tells it", () => {
		const raw = { history_size: 7, colour: "red" };
		expect(check(raw)).toMatchObject({ value: { size: 7 } });
		expect(unknownKeys(room, { raw, layer: { kind: "environment", name: "ROOM" } })).toEqual([expect.stringMatching(/^ROOM: colour: /)]);
	});

	it("is shown by what is not as it would be anyway, and told field by field when it changes", () => {
		expect(room.show(emptyTable(fields))).toBe("{}");
		expect(room.show(value)).toBe('{"history_size":7,"history_ttl":"2s"}');
		expect(changesOf(room, "house.room", value, { ...value, size: 8, key: "another-one" })).toEqual([
			{ path: "house.room.history_size", from: "7", to: "8" },
			{ path: "house.room.key", from: "set (hidden)", to: "another (hidden)" },
		]);
	});

	it("is taken from a program by the names that the code reads, not all of which have to be there", () => {
		expect(toFileValue(room, value)).toEqual({ history_size: 7, history_ttl: "2000ms", key: "swordfish" });
		expect(check(toFileValue(room, { size: 7 }))).toEqual({ value: { ...emptyTable(fields), size: 7 } });
	});
});
