import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";

it("an error in a log line has its type, message and stack", async () => {
	const program = `
		import { createLog } from "@shardcast/telemetry";
		for (const format of ["json", "pretty"]) createLog({ name: "x", level: "info", format }).error({ error: new RangeError("boom") }, "it failed");
	`;
	const { stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { cwd: import.meta.dirname });
	const [json = "", ...pretty] = stderr.split("\n");
	expect(JSON.parse(json)).toMatchObject({
		msg: "it failed",
		error: { type: "RangeError", message: "boom", stack: expect.stringContaining("at ") },
	});
	expect(pretty.join("\n")).toMatch(/it failed[\s\S]*RangeError[\s\S]*boom/);
});
