// Runs Azurite's blob service with accounts that can change while it runs.
//
// Azurite takes its accounts from an environment variable that it reads once a minute.
// Here they come on standard input, a line for the whole set (`name:base64key;...`), at
// once, and stand in no environment and on no command line. Each line is answered on
// standard output by `accounts N`. The end of the input stops the service, with its
// data saved: nobody is left to stop it.
//
//     node azurite_host.js PACKAGE [azurite-blob options]
"use strict";

const path = require("path");
const readline = require("readline");

const azurite = process.argv[2];
process.argv.splice(1, 2, path.join(azurite, "dist", "src", "blob", "main.js"));

const AccountDataStore = require(path.join(azurite, "dist", "src", "common", "AccountDataStore.js"))
  .default;

const STOP_TIMEOUT_MS = 40000; // less than emulator/azurite.py waits
const stores = new Set();
let accounts = "";
let serving = false;

AccountDataStore.prototype.refresh = function () {
  stores.add(this);
  this.accounts = this.parserAccountsEnvironmentString(accounts);
};

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    accounts = line;
    for (const store of stores) {
      store.refresh();
    }
    const count = line.split(";").filter((account) => account.length > 0).length;
    process.stdout.write(`accounts ${count}\n`);
    if (!serving) {
      serving = true;
      require(process.argv[1]);
    }
  })
  .on("close", () => {
    setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
    if (process.emit("SIGTERM")) {
      return;
    }
    if (!serving) {
      process.exit(0);
    }
    // Azurite says that it listens, and takes blobs, before it heeds signals: to end in
    // between would lose them.
    process.on("newListener", (event) => {
      if (event === "SIGTERM") {
        setImmediate(() => process.emit("SIGTERM"));
      }
    });
  });
