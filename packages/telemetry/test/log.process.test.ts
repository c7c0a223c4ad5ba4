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

it("a thrown value that cannot be looked at costs its details, not the line", async () => {
	const program = `
		import { createLog } from "@shardcast/telemetry";
		const { proxy, revoke } = Proxy.revocable({}, {});
		revoke();
		const throwing = Object.defineProperty(new Error("x"), "message", { get() { throw new Error("from a getter"); } });
		for (const format of ["json", "pretty"])
			for (const error of [proxy, throwing]) createLog({ name: "x", level: "info", format }).error({ error }, "it failed");
	`;
	const { stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { cwd: import.meta.dirname });
	expect(stderr.match(/it failed/g)).toHaveLength(4);
	expect(JSON.parse(stderr.split("\n")[0]!)).toMatchObject({ msg: "it failed", error: "a thrown value that cannot be read" });
});
