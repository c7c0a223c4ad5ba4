import { expect, it } from "vitest";
import { type Host, libraryProblem } from "../../src/lifecycle/library-problem.ts";

const host = (changes: Partial<Host> = {}, node = "24.1.0"): Host => ({
	argv: ["/usr/bin/node", `${process.cwd()}/server.mjs`, "--api-key", "swordfish"],
	arch: "x64",
	platform: "linux",
	versions: { ...process.versions, node },
	...changes,
});
/** As the library says it. */
const failed = (reason: string) =>
	new Error(`This version of uWS.js supports only Node.js versions 18, 20, 21 and 22 on …\n\nError: ${reason}\nRequire stack:\n- x`);
const noBinary = failed("Cannot find module './bin/uws_linux_x64_137.node'");

it("for a Node version without a binary, the message suggests a command with one that works, without arguments that may be secret", () => {
	const start = "uWebSockets.js has no binary for Node 24.1.0; run it with Node 22: npx -y -p node@22";
	expect(libraryProblem(noBinary, host())).toBe(`${start} node server.mjs`);
	const single = host({ argv: ["/usr/bin/node", `${process.cwd()}/bin/shardcast`, "single", "--api-key", "swordfish"] });
	expect(libraryProblem(noBinary, single)).toBe(`${start} node bin/shardcast single`);
	expect(libraryProblem(noBinary, host({ send: () => true }))).toBe(`${start} npm start`);
});

it("a problem that another Node version does not solve is reported as it is", () => {
	expect(libraryProblem(noBinary, host({ arch: "riscv64" }, "22.1.0"))).toBe(
		"uWebSockets.js has no binary for Node 22.1.0 on linux riscv64; it needs Linux with glibc on x64 or arm64",
	);
	expect(libraryProblem(failed("/x/uws_linux_x64_127.node: version `GLIBC_2.38' not found"), host({}, "22.1.0"))).toBe(
		"uWebSockets.js does not load (/x/uws_linux_x64_127.node: version `GLIBC_2.38' not found); it needs Linux with glibc on x64 or arm64",
	);
	const missing = Object.assign(new Error("Cannot find package 'uWebSockets.js'"), { code: "ERR_MODULE_NOT_FOUND" });
	expect(libraryProblem(missing, host())).toBe("uWebSockets.js is not installed; run npm ci");
});
