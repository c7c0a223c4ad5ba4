import { spawnSync } from "node:child_process";

/** "nobody" on Debian; any number that is not root does. */
const nobody = 65_534;

/**
 * Runs a shell script in the name of another user of the machine, who may be up to no good. Only root can do that: a suite that needs
 * it says `it.skipIf(!canRunAsOtherUser())`.
 * @throws when the script fails.
 */
export function runAsOtherUser(script: string): { readonly uid: number } {
	const { status, stderr } = spawnSync("/bin/sh", ["-ec", script], {
		uid: nobody,
		gid: nobody,
		env: { PATH: "/usr/bin:/bin" },
		encoding: "utf8",
	});
	if (status !== 0) throw new Error(`as user ${nobody}: ${stderr}`);
	return { uid: nobody };
}

/** Says in one loud line what is left out when this is not root. */
export function canRunAsOtherUser(): boolean {
	const can = process.getuid?.() === 0;
	if (!can) process.stderr.write("\n!!! TESTS AGAINST ANOTHER USER SKIPPED: they start a process as that user, which needs root !!!\n\n");
	return can;
}
