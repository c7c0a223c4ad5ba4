import { describe, expect, it } from "vitest";
import { cannotListen } from "../src/cannot-listen.ts";
import { StartupError } from "../src/startup-error.ts";

const systemError = (code: string) => Object.assign(new Error(`listen ${code}`), { code });

describe("cannotListen", () => {
	it.each([
		["EADDRINUSE", "--lb-addr: :3005 is taken by another program; choose another port"],
		["EACCES", "--lb-addr: :3005 may not be listened on by this user; choose a port from 1024 on"],
		["EADDRNOTAVAIL", "--lb-addr: :3005 is no address of this machine"],
		["EAI_AGAIN", "--lb-addr: :3005 can't be listened on (listen EAI_AGAIN); choose another"],
	])("%s: one line that names the flag", (code, message) => {
		const error = cannotListen(systemError(code), ":3005", "--lb-addr");
		expect(error).toBeInstanceOf(StartupError);
		expect(error).toMatchObject({ message, flag: "--lb-addr", exitStatus: 2 });
	});

	it("leaves what is no error of the system as it is", () => {
		const error = new TypeError("a mistake of ours");
		expect(cannotListen(error, ":3005", "--lb-addr")).toBe(error);
	});
});
