import { expect, it } from "vitest";
import { onHangUp, terminalExists } from "../src/hang-up.ts";

it.each([
	["ENXIO", "leave"],
	["EMFILE", "reload"],
	["EACCES", "reload"],
])("%s for the terminal that was there means: %s", (code, meaning) => {
	const calls: string[] = [];
	let refusal: string | null = null;
	const open = () => {
		if (refusal !== null) throw Object.assign(new Error(refusal), { code: refusal });
	};
	const forget = onHangUp({
		reload: () => calls.push("reload"),
		leave: () => calls.push("leave"),
		hasTerminal: () => terminalExists(open),
	});
	refusal = code;
	process.emit("SIGHUP");
	forget();
	expect(calls).toEqual([meaning]);
});
