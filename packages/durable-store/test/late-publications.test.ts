import { expect, it } from "vitest";
import { durableTables } from "../../postgres/src/tables/durable-tables.ts";
import { lateMax } from "../src/index.ts";

it("both stores keep as many older publications for readers that are late", () => {
	const kept = /"offset" < state\.first - (\d+) /.exec(durableTables('"s"', "s"));
	expect(Number(kept?.[1])).toBe(lateMax);
});
