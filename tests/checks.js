// Runs the checks of a script and prints what they come to, for the folders beside this file.
'use strict';

// Returns a function that runs a check and prints `pass NAME`, with the text that the check returns if there is one, or
// `FAIL NAME: why`. With a `limit`, a check that takes more milliseconds counts as hung.
function checker(limit) {
  return async function check(name, run) {
    let timer;
    const hung = new Promise((_, reject) => {
      if (limit) timer = setTimeout(() => reject(new Error('it hangs')), limit);
    });
    try {
      const note = await Promise.race([run(), hung]);
      console.log(`pass ${name}${typeof note === 'string' ? ` (${note})` : ''}`);
    } catch (e) {
      console.log(`FAIL ${name}: ${String(e.message).slice(0, 600).replaceAll('\n', ' ')}`);
    } finally {
      clearTimeout(timer);
    }
  };
}

// Runs all checks of a script, and prints `end` after the last. A script that does not get there has failed.
function main(checks) {
  checks().then(() => {
    console.log('end');
    process.exit(0);
  }, (e) => {
    console.log(`FAIL the run: ${e.message}`);
    process.exit(1);
  });
}

module.exports = { checker, main };
