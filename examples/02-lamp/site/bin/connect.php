<?php
/** The database and the cache, by the names of their services. */
function database(): PDO
{
    $to = 'mysql:host=' . getenv('DB_HOST') . ';dbname=' . getenv('DB_NAME') . ';charset=utf8mb4';
    $password = trim(file_get_contents('/run/secrets/db_password'));
    return new PDO($to, getenv('DB_USER'), $password, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

function cache(): Memcached
{
    $cache = new Memcached();
    $cache->addServer(getenv('CACHE_HOST'), 11211);
    return $cache;
}
