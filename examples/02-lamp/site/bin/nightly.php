<?php
require __DIR__ . '/connect.php';

$db = database();
$db->exec('REPLACE INTO days SELECT DATE(at), COUNT(*) FROM visits GROUP BY DATE(at)');
$db->exec('DELETE FROM visits WHERE at < UTC_TIMESTAMP() - INTERVAL 90 DAY');
echo "visits are summed up by day\n";
