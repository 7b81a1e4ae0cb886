// What the runs share: where the gateway is, and checks that name their step.
'use strict';

const assert = require('node:assert');
const path = require('node:path');

const env = (name) => {
  assert.ok(process.env[name], `${name} is not set: go test ./test/sdk sets it`);
  return process.env[name];
};

const folder = env('SDK_FOLDER');

// identity is a certificate and a key, as paths.
const identity = (name) => ({ cert: path.join(folder, `${name}.crt`), key: path.join(folder, `${name}.key`) });

const gateway = {
  host: 'localhost',
  mqtts: Number(env('SDK_MQTTS')),
  https: Number(env('SDK_HTTPS')),
  wss: Number(env('SDK_WSS')),
  ca: env('SDK_CA'),
  thing: env('SDK_THING'), // has the policies of a device
  device: identity(env('SDK_THING')),
  app: identity('sdk-app'), // may do everything
  accessKey: { id: env('SDK_KEY_ID'), secret: env('SDK_SECRET') }, // may too
  region: 'eu-central-1',
};

const step = (name) => console.log(`ok ${name}`);

// within rejects when a promise takes longer than any machine needs.
const within = (promise, what) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing came`)), 20000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

// run ends the process with what main came to.
const run = (main) => {
  main().then(
    () => process.exit(0),
    (err) => {
      console.error(err);
      process.exit(1);
    },
  );
};

module.exports = { assert, gateway, run, step, within };
