import { describe, expect, it } from "vitest";
import { cannotListen } from "../src/cannot-listen.ts";
import { StartupError } from "../src/startup-error.ts";

const address = { host: "192.0.2.1", port: 3005 };
const systemError = (code: string) => Object.assign(new Error(`listen ${code}`), { code });

describe("cannotListen", () => {
	it.each([
		["EADDRINUSE", "--lb-addr: port 3005 is taken; choose another or stop the program that has it"],
		["EACCES", "--lb-addr: port 3005 may not be used by this user; choose one above 1023 or grant CAP_NET_BIND_SERVICE"],
		["EADDRNOTAVAIL", "--lb-addr: this machine has no address 192.0.2.1; name one that it has"],
		["EAI_AGAIN", "--lb-addr: port 3005 can't be listened on (EAI_AGAIN); choose another"],
	])("%s: one line that names the flag", (code, message) => {
		const error = cannotListen(systemError(code), address, "--lb-addr");
		expect(error).toBeInstanceOf(StartupError);
		expect(error).toMatchObject({ message, flag: "--lb-addr", exitStatus: 2 });
	});

	it("leaves what is no error of the system as it is", () => {
		const error = new TypeError("a mistake of ours");
		expect(cannotListen(error, address, "--lb-addr")).toBe(error);
	});
});
